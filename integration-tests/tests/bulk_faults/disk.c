/* Loaded before libc into a job: a disk that has room for so many bytes. Files below the directory RUFOUS_DISK take at most
   RUFOUS_DISK_ROOM bytes together, however often they are written; then writes are cut off and fail with ENOSPC, and without any
   room left no name can be created either. At its end the process writes what it took to the file RUFOUS_DISK_USED. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static long long used, room = -1;

static int below(const char *path) {
    const char *disk = getenv("RUFOUS_DISK");
    return disk && path && strstr(path, disk) != NULL;
}

static int counts(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return below(path);
}

static long long all(void) {
    if (room < 0) {
        const char *text = getenv("RUFOUS_DISK_ROOM");
        room = text ? atoll(text) : 1LL << 60;
    }
    return room;
}

/* How many of n bytes there is room for. */
static size_t take(size_t n) {
    long long before = __atomic_fetch_add(&used, (long long)n, __ATOMIC_SEQ_CST), left = all() - before;
    if (left >= (long long)n) return n;
    return left > 0 ? (size_t)left : 0;
}

static int full(void) { return __atomic_load_n(&used, __ATOMIC_SEQ_CST) >= all(); }

#define ROOM(fd, n) if ((n) > 0 && counts(fd)) { n = take(n); if (n == 0) { errno = ENOSPC; return -1; } }
#define NAME(path) if (below(path) && full()) { errno = ENOSPC; return -1; }

ssize_t write(int fd, const void *p, size_t n) { REAL(write); ROOM(fd, n) return real(fd, p, n); }
ssize_t pwrite(int fd, const void *p, size_t n, off_t at) { REAL(pwrite); ROOM(fd, n) return real(fd, p, n, at); }
ssize_t pwrite64(int fd, const void *p, size_t n, off_t at) { REAL(pwrite64); ROOM(fd, n) return real(fd, p, n, at); }
ssize_t writev(int fd, const struct iovec *v, int count) {
    REAL(writev);
    if (count > 0 && counts(fd)) return write(fd, v[0].iov_base, v[0].iov_len);
    return real(fd, v, count);
}
int mkdir(const char *path, mode_t mode) { REAL(mkdir); NAME(path) return real(path, mode); }
int link(const char *from, const char *to) { REAL(link); NAME(to) return real(from, to); }
int linkat(int a, const char *from, int b, const char *to, int flags) {
    REAL(linkat);
    NAME(to)
    return real(a, from, b, to, flags);
}
#define OPEN(name)                                                                     \
    int name(const char *path, int flags, ...) {                                       \
        REAL(name);                                                                    \
        va_list rest;                                                                  \
        va_start(rest, flags);                                                         \
        mode_t mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0;                    \
        va_end(rest);                                                                  \
        if ((flags & O_CREAT) && access(path, F_OK) != 0) { NAME(path) }               \
        return real(path, flags, mode);                                                \
    }
OPEN(open)
OPEN(open64)

__attribute__((destructor)) static void tell(void) {
    const char *path = getenv("RUFOUS_DISK_USED");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    fprintf(file, "%lld", used);
    fclose(file);
}
