/* Preloaded into a member: makes fsync and fdatasync fail, and moves the calendar. Told through a shared page. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct page {
    volatile int64_t ahead_seconds;
    volatile int64_t syncs_fail;
};

static struct page *page;

__attribute__((constructor)) static void load(void) {
    const char *path = getenv("DAC_TEST_FAULTS");
    if (path == NULL) return;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) abort();
    void *mapped = mmap(NULL, sizeof(struct page), PROT_READ, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED) abort();
    page = mapped;
    close(file);
}

static int sync_by(long call, int file) {
    if (page != NULL && page->syncs_fail) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(call, file);
}

int fsync(int file) { return sync_by(SYS_fsync, file); }

int fdatasync(int file) { return sync_by(SYS_fdatasync, file); }

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && clock == CLOCK_REALTIME && page != NULL) time->tv_sec += page->ahead_seconds;
    return result;
}
