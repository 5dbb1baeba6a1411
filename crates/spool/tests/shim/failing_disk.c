/* A disk that fails on request: preloaded into a test program, it makes calls on files below one folder fail.
 *
 * FAILING_DISK names a file with the present order: "" for none, "sync EIO", "write ENOSPC", "write EDQUOT", "write EROFS",
 * "lock EIO", "unlock EIO", "read EIO". With "once" behind it the order is fulfilled once.
 * FAILING_DISK_BELOW names the folder.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int ordered(const char *call, int fd) {
    const char *file = getenv("FAILING_DISK"), *below = getenv("FAILING_DISK_BELOW");
    char link[64], path[4096], order[64] = "";
    if (!file || !below) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (strncmp(path, below, strlen(below)) != 0) return 0;
    int orders = open(file, O_RDONLY | O_CLOEXEC);
    if (orders < 0) return 0;
    ssize_t got = read(orders, order, sizeof order - 1);
    close(orders);
    if (got <= 0 || strncmp(order, call, strlen(call)) != 0) return 0;
    if (strstr(order, "once")) truncate(file, 0);
    if (strstr(order, "EIO")) errno = EIO;
    else if (strstr(order, "ENOSPC")) errno = ENOSPC;
    else if (strstr(order, "EDQUOT")) errno = EDQUOT;
    else if (strstr(order, "EROFS")) errno = EROFS;
    else return 0;
    return 1;
}

#define NEXT(name, type) ((type)dlsym(RTLD_NEXT, name))

int fsync(int fd) { return ordered("sync", fd) ? -1 : NEXT("fsync", int (*)(int))(fd); }
int fdatasync(int fd) { return ordered("sync", fd) ? -1 : NEXT("fdatasync", int (*)(int))(fd); }
ssize_t write(int fd, const void *from, size_t count) {
    return ordered("write", fd) ? -1 : NEXT("write", ssize_t (*)(int, const void *, size_t))(fd, from, count);
}
ssize_t pread(int fd, void *to, size_t count, off_t at) {
    return ordered("read", fd) ? -1 : NEXT("pread", ssize_t (*)(int, void *, size_t, off_t))(fd, to, count, at);
}
ssize_t pread64(int fd, void *to, size_t count, off64_t at) {
    return ordered("read", fd) ? -1 : NEXT("pread64", ssize_t (*)(int, void *, size_t, off64_t))(fd, to, count, at);
}
static int locked(const char *name, int fd, int command, void *argument) {
    if (command == F_SETLK || command == F_SETLK64) {
        int unlock = ((struct flock *)argument)->l_type == F_UNLCK;
        if (ordered(unlock ? "unlock" : "lock", fd)) return -1;
    }
    return NEXT(name, int (*)(int, int, void *))(fd, command, argument);
}
int fcntl(int fd, int command, ...) {
    va_list rest;
    va_start(rest, command);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    return locked("fcntl", fd, command, argument);
}
int fcntl64(int fd, int command, ...) {
    va_list rest;
    va_start(rest, command);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    return locked("fcntl64", fd, command, argument);
}
ssize_t pwrite(int fd, const void *from, size_t count, off_t at) {
    return ordered("write", fd) ? -1 : NEXT("pwrite", ssize_t (*)(int, const void *, size_t, off_t))(fd, from, count, at);
}
ssize_t pwrite64(int fd, const void *from, size_t count, off64_t at) {
    return ordered("write", fd) ? -1 : NEXT("pwrite64", ssize_t (*)(int, const void *, size_t, off64_t))(fd, from, count, at);
}
