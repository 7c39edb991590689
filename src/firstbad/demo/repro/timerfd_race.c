// Two threads set one timerfd, each in turn with and without TFD_TIMER_CANCEL_ON_SET, which puts it on the kernel's
// cancel list and takes it off. Where nothing keeps the two apart, both may take it off: the second one follows a
// poisoned pointer, a general protection fault in __timerfd_remove_cancel(). It ends by itself after BURSTS bursts of
// ROUNDS rounds, with a pause between two bursts.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <unistd.h>

#ifndef BURSTS
#define BURSTS 5
#endif
#ifndef ROUNDS
#define ROUNDS 80
#endif
#define PAUSE 50000 // microseconds

static int timer;
static atomic_int arrived;

static void *set(void *unused)
{
	// disarmed: the race is about the cancel list, the timer itself need not run
	const struct itimerspec never = { 0 };

	(void)unused;
	for (int burst = 0; burst < BURSTS; burst++) {
		usleep(PAUSE);
		atomic_fetch_add(&arrived, 1);
		while (atomic_load(&arrived) < 2 * (burst + 1))
			; // begin together
		for (int round = 0; round < ROUNDS; round++) {
			timerfd_settime(timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
			timerfd_settime(timer, 0, &never, NULL);
		}
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
