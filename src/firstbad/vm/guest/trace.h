/*
 * Which system calls of the program work: follows all its processes with ptrace, for runs that are made for nothing
 * else (kernel parameter firstbad.trace=1). Being followed changes what a race does, so no other run is.
 *
 * Each new (call, what it was about, error) goes to the host at once, since the next call may be the last: a frame Y
 * with the text "NUMBER ABOUT ERROR"; ABOUT is "-" where the number says enough. Needs Linux 5.3 (PTRACE_GET_SYSCALL_INFO,
 * 201766a20e30); before that nothing is told.
 */
#include <sys/ptrace.h>
#include <sys/syscall.h>

#define TRACED_MOST 1024  /* processes and threads at a time; more run on, unseen */
#define CALLS_MOST 1024   /* different calls */
#define ABOUT_LONGEST 48

/* Calls that are many in one, and the argument that tells which: a number or the address of a text. */
static const struct {
	int number, argument, is_text;
} abouts[] = {
	{SYS_socket, 0, 0}, {SYS_socketpair, 0, 0}, {SYS_setsockopt, 2, 0}, {SYS_getsockopt, 2, 0}, {SYS_ioctl, 1, 0},
	{SYS_fcntl, 1, 0}, {SYS_prctl, 0, 0}, {SYS_bpf, 0, 0}, {SYS_keyctl, 0, 0}, {SYS_timer_create, 0, 0},
	{SYS_timerfd_create, 0, 0}, {SYS_mount, 2, 1}, {SYS_openat, 1, 1}, {SYS_add_key, 0, 1},
#ifdef SYS_open
	{SYS_open, 0, 1},
#endif
#ifdef SYS_arch_prctl
	{SYS_arch_prctl, 0, 0},
#endif
};

static int tracing;
static struct {
	pid_t pid;
	long number;
	char about[ABOUT_LONGEST];
} traced[TRACED_MOST];
static char calls[CALLS_MOST][ABOUT_LONGEST + 32];
static size_t calls_seen;

static void send_frame(char type, const void *payload, uint32_t size);

static void trace_me(void)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
}

static void tell_call(const char *text)
{
	for (size_t i = 0; i < calls_seen; i++)
		if (strcmp(calls[i], text) == 0)
			return;
	if (calls_seen == CALLS_MOST)
		return;
	strcpy(calls[calls_seen++], text);
	send_frame('Y', text, (uint32_t)strlen(text));
}

static void read_about(pid_t pid, long number, const uint64_t *arguments, char *about)
{
	size_t i = 0, size = 0;

	strcpy(about, "-");
	while (i < sizeof abouts / sizeof abouts[0] && abouts[i].number != number)
		i++;
	if (i == sizeof abouts / sizeof abouts[0])
		return;
	if (!abouts[i].is_text) {
		snprintf(about, ABOUT_LONGEST, "%llx", (unsigned long long)arguments[abouts[i].argument] & 0xffffffff);
		return;
	}
	/* Word by word: process_vm_readv is an option of its own. */
	while (size + sizeof(long) < ABOUT_LONGEST) {
		long word;

		errno = 0;
		word = ptrace(PTRACE_PEEKDATA, pid, (char *)(uintptr_t)arguments[abouts[i].argument] + size, NULL);
		if (errno)
			break;
		memcpy(about + size, &word, sizeof word);
		size += sizeof word;
	}
	about[size] = 0;
	for (char *at = about; *at; at++)
		if (*at <= ' ' || *at > '~')
			*at = '?';
	if (!about[0])
		strcpy(about, "?");
}

static int trace_slot(pid_t pid)
{
	int free_slot = -1;

	for (int i = 0; i < TRACED_MOST; i++) {
		if (traced[i].pid == pid)
			return i;
		if (!traced[i].pid && free_slot < 0)
			free_slot = i;
	}
	if (free_slot >= 0) {
		traced[free_slot].pid = pid;
		traced[free_slot].number = -1;
		/* EXITKILL is no good to PID 1. The mark of a system call's stop is only set from here on. */
		ptrace(PTRACE_SETOPTIONS, pid, NULL,
		       (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC));
	}
	return free_slot;
}

static void trace_call(pid_t pid, int slot)
{
	struct __ptrace_syscall_info info;
	char text[ABOUT_LONGEST + 32];

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof info, &info) <= 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		traced[slot].number = (long)info.entry.nr;
		read_about(pid, traced[slot].number, info.entry.args, traced[slot].about);
	} else if (info.op == PTRACE_SYSCALL_INFO_EXIT && traced[slot].number >= 0) {
		long long error = info.exit.is_error ? -info.exit.rval : 0;

		snprintf(text, sizeof text, "%ld %s %lld", traced[slot].number, traced[slot].about, error);
		traced[slot].number = -1;
		tell_call(text);
	}
}

/* A process has stopped: look, and let it go on. */
static void trace_stop(pid_t pid, int status)
{
	int first = 1, signal_number = WSTOPSIG(status), slot;

	for (int i = 0; i < TRACED_MOST; i++)
		first = first && traced[i].pid != pid;
	slot = trace_slot(pid);
	if (slot < 0) {
		ptrace(PTRACE_DETACH, pid, NULL, NULL);
		return;
	}
	if (signal_number == (SIGTRAP | 0x80)) {
		trace_call(pid, slot);
		signal_number = 0;
	} else if (status >> 16 || (first && signal_number == SIGSTOP)) {
		signal_number = 0; /* a new process, or one that runs a new program */
	}
	ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)signal_number);
}

static void trace_end(pid_t pid)
{
	for (int i = 0; i < TRACED_MOST; i++)
		if (traced[i].pid == pid)
			traced[i].pid = 0;
}
