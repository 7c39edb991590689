// Sends System V messages of several pages through a queue and receives them. The kernel keeps such a message as a
// chain of segments; where it reads the link of a segment that it has freed, KASAN reports a use after free in
// free_msg(). Without KASAN nothing is seen.
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>

struct message {
	long type;
	char text[8192]; // the default limit of a message; two pages are two segments
};

int main(void)
{
	static struct message message;
	int queue = msgget(IPC_PRIVATE, 0600);

	if (queue < 0) {
		perror("msgget");
		return 0;
	}
	for (int round = 0; round < 8; round++) {
		message.type = 1;
		memset(message.text, 'm', sizeof(message.text));
		if (msgsnd(queue, &message, sizeof(message.text), 0))
			perror("msgsnd");
		else if (msgrcv(queue, &message, sizeof(message.text), 1, 0) < 0)
			perror("msgrcv");
	}
	msgctl(queue, IPC_RMID, NULL);
	return 0;
}
