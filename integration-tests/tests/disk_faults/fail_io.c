/* Loaded before libc into a job: while the file that RUFOUS_FAIL_IO names is there, writes and syncs of files below a directory
   `db` fail with EIO, as those of a dying disk do. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int fails(int fd) {
    const char *trigger = getenv("RUFOUS_FAIL_IO");
    if (!trigger || access(trigger, F_OK) != 0) return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return strstr(path, "/db/") != NULL;
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define FAIL(fd) if (fails(fd)) { errno = EIO; return -1; }

ssize_t write(int fd, const void *p, size_t n) { REAL(write); FAIL(fd) return real(fd, p, n); }
ssize_t pwrite(int fd, const void *p, size_t n, off_t at) { REAL(pwrite); FAIL(fd) return real(fd, p, n, at); }
ssize_t pwrite64(int fd, const void *p, size_t n, off_t at) { REAL(pwrite64); FAIL(fd) return real(fd, p, n, at); }
int fsync(int fd) { REAL(fsync); FAIL(fd) return real(fd); }
int fdatasync(int fd) { REAL(fdatasync); FAIL(fd) return real(fd); }
