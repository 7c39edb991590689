// Creates a POSIX timer without a sigevent, which means "SIGALRM, please" (timer_create(2)), and deletes it.
// Where the kernel looks into the sigevent that is not there, it dereferences NULL in do_timer_create().
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
	int id = -1;

	// the system call itself: the C library would put a sigevent in
	if (syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id)) {
		perror("timer_create");
		return 0;
	}
	syscall(SYS_timer_delete, id);
	return 0;
}
