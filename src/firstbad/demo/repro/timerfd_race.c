// Two threads set one timerfd, each in turn with and without TFD_TIMER_CANCEL_ON_SET, which puts it on the kernel's
// cancel list and takes it off. Where nothing keeps the two apart, both may take it off: the second one follows a
// poisoned pointer, a general protection fault in __timerfd_remove_cancel(). It ends by itself after ROUNDS rounds.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <unistd.h>

#ifndef ROUNDS
#define ROUNDS 2000
#endif

static int timer;
static atomic_int ready;

static void *set(void *unused)
{
	// disarmed: the race is about the cancel list, the timer itself need not run
	const struct itimerspec never = { 0 };

	(void)unused;
	atomic_fetch_add(&ready, 1);
	while (atomic_load(&ready) < 2)
		;
	for (int round = 0; round < ROUNDS; round++) {
		timerfd_settime(timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
		timerfd_settime(timer, 0, &never, NULL);
	}
	return NULL;
}

int main(void)
{
	pthread_t other;

	timer = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
	if (timer < 0) {
		perror("timerfd_create");
		return 0;
	}
	if (pthread_create(&other, NULL, set, NULL)) {
		perror("pthread_create");
		return 0;
	}
	set(NULL);
	pthread_join(other, NULL);
	close(timer);
	return 0;
}
