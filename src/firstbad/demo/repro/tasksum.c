// Reads /proc/tasksum, where the kernel has it. Where its sum does not expect kernel threads, which have no address
// space, it dereferences NULL in tasksum_show().
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	char line[256];
	int file = open("/proc/tasksum", O_RDONLY);
	ssize_t length;

	if (file < 0) {
		perror("/proc/tasksum");
		return 0;
	}
	length = read(file, line, sizeof(line));
	if (length > 0)
		fwrite(line, 1, length, stdout);
	close(file);
	return 0;
}
