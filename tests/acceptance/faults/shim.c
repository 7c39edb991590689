/* Preloaded into the processes of one trial: numbers what they do to files and processes, and lets one point go wrong.
 *
 * A point is a call that writes, creates, renames, syncs (files below `root`) or starts a program, in a process whose
 * name is known here: ours, git, cp, make and the compilers; what a user's own test does is not counted. All processes
 * count in one shared file (`FAULTS_PLAN`, see plan.py), so a number means a moment of the whole session.
 *
 * The C library's own calls (stdio) do not come by here; real full disks see those.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { EVENT, START, FILE_, COMPILER, CLASSES };
enum { COUNT, FAIL, FROM_HERE, MEET, DIE };
enum { NOT_YET, WAITS, GOES_ON };

struct plan {
	int32_t kind, number, action, error, store_only;
	atomic_int counts[CLASSES], state;
	int32_t pid;
	_Atomic int64_t offset; /* of the clock, seconds */
	char root[256], what[256];
};

static struct plan *plan;
static int counted, compiles;

#define REAL(name) ({ static typeof(&name) real; if (!real) real = (typeof(&name))dlsym(RTLD_NEXT, #name); real; })

static const char *const ours[] = {"python", "firstbad", "git", "cp", "setpriv", "prlimit", "worker", NULL};
static const char *const compilers[] = {"make", "gcc", "cc1", "as", "ld", "collect2", "ccache", "x86_64-linux-gn", NULL};

static int one_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (!strncmp(name, *names, strlen(*names)) && strcmp(name, "git-lfs"))
			return 1;
	return 0;
}

int faults_attach(const char *file)
{
	int fd = syscall(2 /* SYS_open */, file, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -1;
	void *at = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (at == MAP_FAILED)
		return -1;
	counted = 1;
	plan = at;
	return 0;
}

__attribute__((constructor)) static void begin(void)
{
	const char *file = getenv("FAULTS_PLAN"), *name = program_invocation_short_name;
	if (!file || faults_attach(file))
		return;
	compiles = one_of(name, compilers);
	counted = compiles || one_of(name, ours);
}

static int absolute(int at, const char *path, char *full)
{
	char directory[PATH_MAX], link[64];
	if (path[0] == '/')
		return snprintf(full, PATH_MAX, "%s", path);
	if (at == AT_FDCWD) {
		if (!getcwd(directory, sizeof directory))
			return 0;
	} else {
		snprintf(link, sizeof link, "/proc/self/fd/%d", at);
		ssize_t n = readlink(link, directory, sizeof directory - 1);
		if (n < 0)
			return 0;
		directory[n] = 0;
	}
	return snprintf(full, PATH_MAX, "%s/%s", directory, path);
}

static int in_store(const char *path)
{
	const char *name = strrchr(path, '/');
	return name && !strncmp(name + 1, "firstbad.db", 11);
}

static void meet(void)
{
	atomic_store(&plan->state, WAITS);
	struct timespec nap = {0, 500000};
	while (atomic_load(&plan->state) == WAITS)
		nanosleep(&nap, NULL);
}

/* Counts a point; the error that it is to fail with, 0 if it is to go on. */
static int point(int kind, const char *call, const char *about)
{
	int saved = errno, store = kind == EVENT;
	if (compiles)
		kind = COMPILER;
	int number = atomic_fetch_add(&plan->counts[kind], 1) + 1;
	int hit = plan->action != COUNT && kind == plan->kind && number == plan->number;
	if (hit) {
		plan->pid = getpid();
		snprintf(plan->what, sizeof plan->what, "%s: %s %s", program_invocation_short_name, call, about);
		if (plan->action == MEET)
			meet();
		else
			atomic_store(&plan->state, GOES_ON);
		if (plan->action == DIE)
			raise(SIGKILL);
	}
	errno = saved;
	if (hit && plan->action == FAIL)
		return plan->error;
	if (plan->action == FROM_HERE && atomic_load(&plan->state) == GOES_ON && kind != START && (store || !plan->store_only))
		return plan->error;
	return 0;
}

static int at_path(const char *call, int at, const char *path)
{
	char full[PATH_MAX];
	if (!plan || !counted || !path || !absolute(at, path, full) || strncmp(full, plan->root, strlen(plan->root)))
		return 0;
	return point(in_store(full) ? EVENT : FILE_, call, full + strlen(plan->root));
}

static int at_fd(const char *call, int fd)
{
	char link[64], full[PATH_MAX];
	if (!plan || !counted)
		return 0;
	int saved = errno;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, full, sizeof full - 1);
	errno = saved;
	if (n < 0 || n < (ssize_t)strlen(plan->root))
		return 0;
	full[n] = 0;
	if (strncmp(full, plan->root, strlen(plan->root)))
		return 0;
	return point(in_store(full) ? EVENT : FILE_, call, full + strlen(plan->root));
}

static int writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)); }

#define FAILS(check, result) do { int error_ = (check); if (error_) { errno = error_; return result; } } while (0)

#define OPEN(name) \
int name(const char *path, int flags, ...) \
{ \
	va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
	if (writes(flags)) FAILS(at_path("open", AT_FDCWD, path), -1); \
	return REAL(name)(path, flags, mode); \
}
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
int name(int at, const char *path, int flags, ...) \
{ \
	va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
	if (writes(flags)) FAILS(at_path("open", at, path), -1); \
	return REAL(name)(at, path, flags, mode); \
}
OPENAT(openat)
OPENAT(openat64)

#define FOPEN(name) \
FILE *name(const char *path, const char *mode) \
{ \
	if (strpbrk(mode, "wa+")) FAILS(at_path("fopen", AT_FDCWD, path), NULL); \
	return REAL(name)(path, mode); \
}
FOPEN(fopen)
FOPEN(fopen64)

/* A disk that is full takes the beginning of what is written. */
ssize_t write(int fd, const void *data, size_t size)
{
	int error = at_fd("write", fd);
	if (!error)
		return REAL(write)(fd, data, size);
	if (error == ENOSPC && size > 1 && plan->action == FAIL)
		REAL(write)(fd, data, size / 2);
	errno = error;
	return -1;
}

#define PWRITE(name, type) \
ssize_t name(int fd, const void *data, size_t size, type place) \
{ \
	int error = at_fd("pwrite", fd); \
	if (!error) \
		return REAL(name)(fd, data, size, place); \
	if (error == ENOSPC && size > 1 && plan->action == FAIL) \
		REAL(name)(fd, data, size / 2, place); \
	errno = error; \
	return -1; \
}
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	FAILS(at_fd("writev", fd), -1);
	return REAL(writev)(fd, parts, count);
}

ssize_t sendfile(int out, int in, off_t *place, size_t size);
ssize_t sendfile(int out, int in, off_t *place, size_t size)
{
	FAILS(at_fd("sendfile", out), -1);
	return REAL(sendfile)(out, in, place, size);
}

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t size, unsigned flags)
{
	FAILS(at_fd("copy_file_range", out), -1);
	return REAL(copy_file_range)(in, from, out, to, size, flags);
}

int fsync(int fd) { FAILS(at_fd("fsync", fd), -1); return REAL(fsync)(fd); }
int fdatasync(int fd) { FAILS(at_fd("fdatasync", fd), -1); return REAL(fdatasync)(fd); }
int ftruncate(int fd, off_t size) { FAILS(at_fd("ftruncate", fd), -1); return REAL(ftruncate)(fd, size); }
int ftruncate64(int fd, off64_t size) { FAILS(at_fd("ftruncate", fd), -1); return REAL(ftruncate64)(fd, size); }
int mkdir(const char *path, mode_t mode) { FAILS(at_path("mkdir", AT_FDCWD, path), -1); return REAL(mkdir)(path, mode); }
int rename(const char *a, const char *b) { FAILS(at_path("rename", AT_FDCWD, b), -1); return REAL(rename)(a, b); }
int link(const char *a, const char *b) { FAILS(at_path("link", AT_FDCWD, b), -1); return REAL(link)(a, b); }

int mkdirat(int at, const char *path, mode_t mode)
{
	FAILS(at_path("mkdir", at, path), -1);
	return REAL(mkdirat)(at, path, mode);
}

int renameat(int from, const char *a, int to, const char *b)
{
	FAILS(at_path("rename", to, b), -1);
	return REAL(renameat)(from, a, to, b);
}

int linkat(int from, const char *a, int to, const char *b, int flags)
{
	FAILS(at_path("link", to, b), -1);
	return REAL(linkat)(from, a, to, b, flags);
}

int symlink(const char *a, const char *b) { FAILS(at_path("symlink", AT_FDCWD, b), -1); return REAL(symlink)(a, b); }

/* Programs that are started. The child of a fork comes by here: it dies before it is another program, or fails. */
static int starts(const char *path)
{
	/* Whoever can't start a program in one directory of PATH can't in the next. (A child of vfork shares this with its
	 * parent, but not its number.) */
	static pid_t who;
	static int why;
	if (!plan || !counted)
		return 0;
	if (who == getpid())
		return why;
	why = point(START, "start", path);
	who = why ? getpid() : 0;
	return why;
}

int execve(const char *path, char *const words[], char *const environment[])
{
	/* Along PATH most tries find nothing: no program is started there. */
	if (!access(path, X_OK))
		FAILS(starts(path), -1);
	return REAL(execve)(path, words, environment);
}

int execv(const char *path, char *const words[])
{
	if (!access(path, X_OK))
		FAILS(starts(path), -1);
	return REAL(execv)(path, words);
}

int execvp(const char *file, char *const words[]) { FAILS(starts(file), -1); return REAL(execvp)(file, words); }

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *how,
		char *const words[], char *const environment[])
{
	int error = starts(path);
	return error ? error : REAL(posix_spawn)(pid, path, actions, how, words, environment);
}

int posix_spawnp(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *how,
		 char *const words[], char *const environment[])
{
	int error = starts(path);
	return error ? error : REAL(posix_spawnp)(pid, path, actions, how, words, environment);
}

/* The clock of the wall; the others never jump. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	int done = REAL(clock_gettime)(clock, now);
	if (!done && plan && clock == CLOCK_REALTIME)
		now->tv_sec += atomic_load(&plan->offset);
	return done;
}

int gettimeofday(struct timeval *now, void *zone)
{
	int done = REAL(gettimeofday)(now, zone);
	if (!done && plan)
		now->tv_sec += atomic_load(&plan->offset);
	return done;
}

time_t time(time_t *into)
{
	time_t now = REAL(time)(NULL) + (plan ? atomic_load(&plan->offset) : 0);
	if (into)
		*into = now;
	return now;
}

/* A disk that stays full says so when it is asked. */
#define STATVFS(name, type) \
int name(const char *path, struct type *found) \
{ \
	int done = REAL(name)(path, found); \
	if (!done && plan && plan->action == FROM_HERE && plan->error == ENOSPC && plan->state == GOES_ON \
	    && !strncmp(path, plan->root, strlen(plan->root))) \
		found->f_bavail = found->f_bfree = 0; \
	return done; \
}
STATVFS(statvfs, statvfs)
STATVFS(statvfs64, statvfs64)
