/*
 * PID 1 of a test machine: receives files and a command over a virtio-serial port, runs it, tells how it ended.
 *
 * Frames in both directions: one type byte, the payload's length (32 bits, little endian), the payload.
 *   guest to host: H hello (VERSION, kernel release)
 *                  S the program starts       X its main process ended (wait status)
 *                  D nothing of it is left    P answer to a ping      O the end of its output
 *                  Y a system call and its result, see trace.h
 *                  K before the hello: where the kernel lies (the address of _stext, 16 hex digits), if it says so
 *   host to guest: F a file: permissions, the path's length (32 bits each), the absolute path, the contents
 *                  C the command, after its files: how many arguments, how many variables (32 bits each),
 *                    then each of them with a NUL behind it
 *                  p ping
 * The host hanging up is the order to stop the machine. The console belongs to the kernel: this program
 * writes there only when it has no other way to say what is wrong.
 *
 * Needs of the kernel: initramfs, ELF, /proc, /sys, virtio-pci and virtio-console; everything else may fail.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "trace.h"

#define PORT_NAME "firstbad.control"
#define PORTS "/sys/class/virtio-ports"
#define VERSION 2
#define DIRECTORY "/tmp"
#define NAME_LONGEST 255
#define COMMAND_LONGEST 65536
#define WORDS_MOST 256
#define OUTPUT_KEPT 4096
#define PORT_WAIT_SECONDS 20
#define STOPS_AT_ONCE 100
#define KMEMLEAK "/sys/kernel/debug/kmemleak"
#define LEAK_MIN_AGE_MS 5100 /* mm/kmemleak.c, MSECS_MIN_AGE: nothing younger is reported */
#define LEAKS_READ (64 << 10)

static const struct {
	const char *type, *where;
} mounts[] = {
	/* What distributions mount at boot: reproducers expect to find it. Missing ones are no error. */
	{"proc", "/proc"},
	{"sysfs", "/sys"},
	{"devtmpfs", "/dev"},
	{"tmpfs", "/tmp"},
	{"tmpfs", "/dev/shm"},
	{"devpts", "/dev/pts"},
	{"debugfs", "/sys/kernel/debug"},
	{"tracefs", "/sys/kernel/tracing"},
	{"securityfs", "/sys/kernel/security"},
	{"configfs", "/sys/kernel/config"},
	{"fusectl", "/sys/fs/fuse/connections"},
	{"bpf", "/sys/fs/bpf"},
	{"binfmt_misc", "/proc/sys/fs/binfmt_misc"},
};

#define OWN_VARIABLES 3
static char *arguments[WORDS_MOST + 1];
static char *environment[OWN_VARIABLES + WORDS_MOST + 1] = {
	"PATH=/bin:/sbin:/usr/bin:/usr/sbin", "HOME=" DIRECTORY, "TERM=dumb"};

static int port = -1;
static char output[OUTPUT_KEPT];
static size_t output_end; /* bytes ever written; the ring holds the last OUTPUT_KEPT of them */

static void stop_machine(void)
{
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

static void die(const char *what)
{
	/* One line, marked, on the console: the host quotes it. */
	char line[200];
	int length = snprintf(line, sizeof line, "firstbad-init: %s: %s\n", what, strerror(errno));
	int console = open("/dev/console", O_WRONLY | O_NOCTTY);

	if (console >= 0 && write(console, line, (size_t)length) < 0)
		_exit(1); /* PID 1 ending is a panic: louder than silence */
	stop_machine();
}

static void refuse(const char *what)
{
	errno = EPROTO;
	die(what);
}

static int read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return -1;
	text[n] = 0;
	return 0;
}

/* The word after a kernel parameter's " name="; 0 without it. */
static int parameter_text(const char *name, char *text, size_t size)
{
	char line[4096];
	char *at = read_text("/proc/cmdline", line, sizeof line) < 0 ? NULL : strstr(line, name);

	if (at)
		snprintf(text, size, "%.*s", (int)strcspn(at + strlen(name), " \n"), at + strlen(name));
	return at != NULL;
}

static void mount_all(void)
{
	char line[32];

	for (size_t i = 0; i < sizeof mounts / sizeof mounts[0]; i++) {
		/* Without virtio the files come with this file system: nothing may hide them. */
		if (strcmp(mounts[i].where, DIRECTORY) == 0 && parameter_text(" firstbad.port=", line, sizeof line))
			continue;
		mkdir(mounts[i].where, 0755);
		mount(mounts[i].type, mounts[i].where, mounts[i].type, 0, NULL);
	}
	chmod("/tmp", 01777);
	chmod("/dev/shm", 01777);
}

static void loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	ioctl(fd, SIOCSIFFLAGS, &request);
	close(fd);
}

static void stay_responsive(void)
{
	/* An answer to a ping tells a busy machine from a dead one: never starve behind the reproducer. */
	struct sched_param parameters = {.sched_priority = 50};

	mlockall(MCL_CURRENT | MCL_FUTURE);
	sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &parameters);
}

/* Is this entry of /sys/class/virtio-ports ours? Then opens it, by a device node of our own making. */
static int open_port(const char *entry)
{
	char path[512], text[64];
	unsigned int major_number, minor_number;

	snprintf(path, sizeof path, PORTS "/%s/name", entry);
	if (read_text(path, text, sizeof text) < 0 || strncmp(text, PORT_NAME "\n", sizeof PORT_NAME) != 0)
		return -1;
	snprintf(path, sizeof path, PORTS "/%s/dev", entry);
	if (read_text(path, text, sizeof text) < 0 || sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
		return -1;
	unlink("/control");
	if (mknod("/control", S_IFCHR | 0600, makedev(major_number, minor_number)) < 0)
		return -1;
	return open("/control", O_RDWR | O_CLOEXEC | O_NONBLOCK);
}

/* User-mode Linux has no virtio: there the port is a serial line, which the host names. */
static int open_line(void)
{
	char path[32] = "/dev/";
	struct termios settings;
	int fd;

	if (!parameter_text(" firstbad.port=", path + 5, sizeof path - 5))
		return -1;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0 && tcgetattr(fd, &settings) == 0) {
		cfmakeraw(&settings);
		tcsetattr(fd, TCSANOW, &settings);
	}
	return fd;
}

static int find_port(void)
{
	DIR *directory = opendir(PORTS);
	struct dirent *entry;
	int fd = open_line();

	while (directory && fd < 0 && (entry = readdir(directory)))
		if (entry->d_name[0] != '.')
			fd = open_port(entry->d_name);
	if (directory)
		closedir(directory);
	return fd;
}

static time_t uptime(void)
{
	struct timespec now = {0};

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec;
}

/* Ports are announced by a work item after the driver's probe: they may come later than us. */
static void wait_for_port(void)
{
	struct timespec pause_between = {.tv_nsec = 2000000};

	/* By the clock: an emulated machine may take many times longer for each look than for the pause. */
	for (time_t end = uptime() + PORT_WAIT_SECONDS; uptime() < end;) {
		port = find_port();
		if (port >= 0)
			return;
		nanosleep(&pause_between, NULL);
	}
	errno = ENODEV;
	die("no virtio-serial port " PORT_NAME " (CONFIG_VIRTIO_PCI, CONFIG_VIRTIO_CONSOLE?)");
}

/* Waits for the port; a host that hung up wants the machine gone. */
static void wait_port(short events)
{
	struct pollfd wait = {.fd = port, .events = events};

	if (poll(&wait, 1, -1) > 0 && (wait.revents & POLLHUP))
		stop_machine();
}

static void port_write(const void *data, size_t size)
{
	const char *at = data;

	while (size) {
		ssize_t n = write(port, at, size);

		if (n > 0) {
			at += n;
			size -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			wait_port(POLLOUT);
		} else if (n < 0 && errno != EINTR) {
			stop_machine();
		}
	}
}

static void port_read(void *data, size_t size)
{
	char *at = data;

	while (size) {
		ssize_t n = read(port, at, size);

		if (n > 0) {
			at += n;
			size -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			wait_port(POLLIN);
		} else if (n == 0 || errno != EINTR) {
			stop_machine();
		}
	}
}

static void put32(unsigned char *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (unsigned char)(value >> (8 * i));
}

static uint32_t get32(const unsigned char *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void send_frame(char type, const void *payload, uint32_t size)
{
	unsigned char head[5] = {(unsigned char)type};

	put32(head + 1, size);
	port_write(head, sizeof head);
	port_write(payload, size);
}

static uint32_t receive_head(char *type)
{
	unsigned char head[5];

	port_read(head, sizeof head);
	*type = (char)head[0];
	return get32(head + 1);
}

/* Kernels choose their place at random (CONFIG_RANDOMIZE_BASE): symbols are sorted by address, so _stext comes early. */
static void send_place(void)
{
	char line[512], kind, name[128];
	unsigned long long address;
	FILE *symbols = fopen("/proc/kallsyms", "re");

	while (symbols && fgets(line, sizeof line, symbols))
		if (sscanf(line, "%llx %c %127s", &address, &kind, name) == 3 && strcmp(name, "_stext") == 0) {
			snprintf(line, sizeof line, "%016llx", address);
			send_frame('K', line, 16);
			break;
		}
	if (symbols)
		fclose(symbols);
}

static void send_output(void)
{
	size_t kept = output_end < OUTPUT_KEPT ? output_end : OUTPUT_KEPT;
	char text[OUTPUT_KEPT];

	for (size_t i = 0; i < kept; i++)
		text[i] = output[(output_end - kept + i) % OUTPUT_KEPT];
	send_frame('O', text, (uint32_t)kept);
}

static void make_parents(char *path)
{
	for (char *at = path + 1; (at = strchr(at, '/')); at++) {
		*at = 0;
		mkdir(path, 0755);
		*at = '/';
	}
}

static void receive_file(uint32_t left)
{
	static char block[65536];
	unsigned char head[8];
	char path[NAME_LONGEST + 1];
	uint32_t length;
	int fd;

	if (left < sizeof head)
		refuse("a short file frame");
	port_read(head, sizeof head);
	left -= (uint32_t)sizeof head;
	length = get32(head + 4);
	if (!length || length > NAME_LONGEST || length > left)
		refuse("a file's path is too long");
	port_read(path, length);
	left -= length;
	path[length] = 0;
	make_parents(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		die(path);
	while (left) {
		size_t size = left < sizeof block ? left : sizeof block;

		port_read(block, size);
		if (write(fd, block, size) != (ssize_t)size)
			die(path);
		left -= (uint32_t)size;
	}
	fchmod(fd, get32(head) & 07777);
	/* Still open for writing, execve would say ETXTBSY. */
	close(fd);
}

/* Cuts the strings that begin at *at into words, ended by NULL. */
static void cut(char **words, uint32_t count, char **at, const char *end)
{
	for (uint32_t i = 0; i < count; i++) {
		char *nul = memchr(*at, 0, (size_t)(end - *at));

		if (!nul)
			refuse("a command frame is cut off");
		*words++ = *at;
		*at = nul + 1;
	}
	*words = NULL;
}

static void receive_command(uint32_t size)
{
	static char text[COMMAND_LONGEST];
	unsigned char head[8];
	char *at = text;
	uint32_t count, variables;

	if (size < sizeof head || size - sizeof head > sizeof text)
		refuse("a command frame of this size");
	port_read(head, sizeof head);
	size -= (uint32_t)sizeof head;
	port_read(text, size);
	count = get32(head);
	variables = get32(head + 4);
	if (!count || count > WORDS_MOST || variables > WORDS_MOST)
		refuse("a command of so many words");
	cut(arguments, count, &at, text + size);
	cut(environment + OWN_VARIABLES, variables, &at, text + size);
}

static void receive_payload(void)
{
	char type;

	do {
		uint32_t size = receive_head(&type);

		if (type == 'F')
			receive_file(size);
		else if (type == 'C')
			receive_command(size);
		else
			refuse("unexpected frame before the command");
	} while (type != 'C');
}

static void run_child(int out)
{
	struct rlimit no_core = {0, 0};
	sigset_t none;
	int in = open("/dev/null", O_RDONLY);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGCHLD, SIG_DFL);
	setrlimit(RLIMIT_CORE, &no_core);
	setsid();
	dup2(in < 0 ? out : in, 0);
	dup2(out, 1);
	dup2(out, 2);
	if (in > 2)
		close(in);
	if (tracing)
		trace_me();
	if (chdir(DIRECTORY) == 0)
		execve(arguments[0], arguments, environment);
	dprintf(2, "firstbad-init: can't execute the program: %s\n", strerror(errno));
	_exit(127);
}

static pid_t start_program(int *out)
{
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		die("pipe");
	/* Non-blocking is for our end only: a program may not get EAGAIN from printf. */
	fcntl(ends[1], F_SETFL, 0);
	child = fork();
	if (child < 0)
		die("fork");
	if (child == 0)
		run_child(ends[1]);
	close(ends[1]);
	*out = ends[0];
	return child;
}

/* False when every writer has closed its end. */
static int collect_output(int fd)
{
	char block[4096];
	ssize_t n = read(fd, block, sizeof block);

	for (ssize_t i = 0; i < n; i++)
		output[output_end++ % OUTPUT_KEPT] = block[i];
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Buries the dead. True when nothing of the program is left: as PID 1 we inherit its orphans too. */
static int reap(pid_t child)
{
	unsigned char text[4];
	int status;
	pid_t pid;

	for (int stops = 0; (pid = waitpid(-1, &status, tracing ? WNOHANG | __WALL : WNOHANG)) > 0;) {
		if (WIFSTOPPED(status)) {
			trace_stop(pid, status);
			if (++stops < STOPS_AT_ONCE)
				continue;
			raise(SIGCHLD); /* the rest after a look at the port */
			return 0;
		}
		trace_end(pid);
		if (pid == child) {
			put32(text, (uint32_t)status);
			send_frame('X', text, sizeof text);
		}
	}
	return pid < 0 && errno == ECHILD;
}

static void answer(void)
{
	char type;
	uint32_t size = receive_head(&type);

	if (type != 'p' || size != 0)
		refuse("unexpected frame");
	send_output();
	send_frame('P', NULL, 0);
}

static void on_child(int signal_number)
{
	(void)signal_number; /* only there to end ppoll */
}

/* The number of a kernel parameter " name=NUMBER"; 0 without it. */
static int parameter(const char *name)
{
	char text[16];

	return parameter_text(name, text, sizeof text) ? atoi(text) : 0;
}

static void wait_ms(long milliseconds)
{
	struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

static void kmemleak(const char *command)
{
	int fd = open(KMEMLEAK, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, command, strlen(command)) < 0)
		die("can't use " KMEMLEAK " (CONFIG_DEBUG_KMEMLEAK?)");
	close(fd);
}

/* What was leaked before the program starts is none of its business. */
static void forget_leaks(void)
{
	kmemleak("scan=off");
	kmemleak("scan");
	wait_ms(LEAK_MIN_AGE_MS);
	kmemleak("scan");
	kmemleak("scan");
	kmemleak("clear");
}

/* Says on the console what two scans found unreferenced: what one finds may be on its way between two places. */
static void report_leaks(void)
{
	static char text[LEAKS_READ];
	int console = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	int fd;
	size_t size = 0;
	ssize_t n;

	kmemleak("scan");
	wait_ms(LEAK_MIN_AGE_MS);
	kmemleak("scan");
	kmemleak("scan");
	fd = open(KMEMLEAK, O_RDONLY | O_CLOEXEC);
	/* The file gives one record at a read. */
	while (size < sizeof text - 1 && (n = read(fd, text + size, sizeof text - 1 - size)) > 0)
		size += (size_t)n;
	close(fd);
	for (char *at = strstr(text, "unreferenced object"), *next; at; at = next) {
		next = strstr(at + 1, "unreferenced object");
		dprintf(console, "BUG: memory leak\n%.*s", next ? (int)(next - at) : (int)strlen(at), at);
	}
	close(console);
}

static void serve(pid_t child, int out, const sigset_t *while_waiting)
{
	struct pollfd waits[2] = {{.fd = port, .events = POLLIN}, {.fd = out, .events = POLLIN}};
	/* A program that repeats itself for ever is ended before leaks are looked for. */
	int leaks = parameter(" firstbad.leak="), done = 0;
	time_t end = uptime() + leaks;

	for (;;) {
		struct timespec second = {1, 0};

		if (leaks && uptime() >= end)
			kill(-1, SIGKILL);
		if (ppoll(waits, 2, leaks ? &second : NULL, while_waiting) > 0) {
			if (waits[0].revents & POLLIN)
				answer();
			else if (waits[0].revents & POLLHUP)
				stop_machine();
			if (waits[1].revents && !collect_output(out))
				waits[1].fd = -1;
		}
		if (!done && reap(child)) {
			done = 1;
			if (leaks)
				report_leaks();
			leaks = 0;
			while (waits[1].fd >= 0 && poll(&waits[1], 1, 0) > 0)
				if (!collect_output(out))
					waits[1].fd = -1;
			send_output();
			send_frame('D', NULL, 0);
		}
	}
}

int main(void)
{
	struct sigaction action = {.sa_handler = on_child};
	struct utsname name;
	char hello[1 + sizeof name.release] = {VERSION};
	sigset_t child_signal, before;
	pid_t child;
	int out;

	mount_all();
	loopback_up();
	stay_responsive();
	wait_for_port();
	sigaction(SIGCHLD, &action, NULL);
	sigemptyset(&child_signal);
	sigaddset(&child_signal, SIGCHLD);
	/* Blocked except inside ppoll: no child can end unseen between the check and the wait. */
	sigprocmask(SIG_BLOCK, &child_signal, &before);
	memset(&name, 0, sizeof name);
	uname(&name);
	send_place();
	memcpy(hello + 1, name.release, sizeof name.release);
	send_frame('H', hello, (uint32_t)strlen(hello));
	receive_payload();
	tracing = parameter(" firstbad.trace=");
	if (parameter(" firstbad.leak="))
		forget_leaks();
	/* Said before the fork: the program's first system call may be the last of this kernel. */
	send_frame('S', NULL, 0);
	child = start_program(&out);
	serve(child, out, &before);
}
