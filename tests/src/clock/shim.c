/* Shows a program another time: the true one, and so many microseconds more as the file RQ_TEST_CLOCK says. It is
 * loaded before the C library (LD_PRELOAD). Clocks that only measure how long things take stay true. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t US_PER_S = 1000000;

static int64_t ahead_us(void) {
    static volatile int64_t *shown;
    if (!shown) {
        const char *path = getenv("RQ_TEST_CLOCK");
        int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (file < 0) return 0;
        void *page = mmap(NULL, sizeof *shown, PROT_READ, MAP_SHARED, file, 0);
        close(file);
        if (page == MAP_FAILED) return 0;
        shown = page;
    }
    return *shown;
}

int clock_gettime(clockid_t id, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, id, time);
    if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        int64_t us = time->tv_sec * US_PER_S + time->tv_nsec / 1000 + ahead_us();
        time->tv_nsec = us % US_PER_S * 1000 + time->tv_nsec % 1000;
        time->tv_sec = us / US_PER_S;
    }
    return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    (void)zone;
    struct timespec now;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return result;
}

time_t time(time_t *seconds) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (seconds) *seconds = now.tv_sec;
    return now.tv_sec;
}
