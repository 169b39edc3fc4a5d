/* Preloaded into a Gangway: records what it does to the files of one folder, and what it made sure of by a
   sync, so that a test can tell what a power cut would have left. A journal of records, each a head, a name and
   bytes; `image.rs` reads it.

   POWER_FOLDER   the folder
   POWER_JOURNAL  the journal, outside of it
   POWER_FORGETS  the end of a name: syncs of such files succeed and are not recorded
   POWER_HOLDS    while this file exists no sync begins; one that waits is told by a file of that name + ".held"

   A file is found by its descriptor's name in /proc, so that no table of open files has to be kept right. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATED = 'C', WRITTEN = 'W', TRUNCATED = 'T', SYNCED = 'S', UNLINKED = 'U' };

struct head { uint64_t kind, name_length, offset, length; };

/* Held over an operation and its record, so that the order of the records is that of the operations. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static const char *folder;
static int journal = -1;
static uint64_t recorded;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("POWER_JOURNAL");
    struct stat status;
    folder = getenv("POWER_FOLDER");
    if (!path || !folder) return;
    journal = REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (journal < 0 || fstat(journal, &status) != 0) abort();
    recorded = (uint64_t)status.st_size;
}

static void record(uint64_t kind, const char *name, uint64_t offset, const void *bytes, uint64_t length) {
    struct head head = { kind, strlen(name), offset, length };
    struct iovec parts[] = { { &head, sizeof head }, { (void *)name, head.name_length }, { (void *)bytes, length } };
    uint64_t whole = sizeof head + head.name_length + length;
    if (writev(journal, parts, 3) != (ssize_t)whole) abort();
    recorded += whole;
}

/* The name within the folder, empty for the folder itself; none for what is elsewhere, gone, or made anew by
   recovery. */
static const char *within(const char *path) {
    size_t length = journal < 0 ? 0 : strlen(folder);
    if (length == 0 || strncmp(path, folder, length) != 0) return NULL;
    if (path[length] == 0) return path + length;
    const char *name = path + length + 1;
    return path[length] != '/' || strstr(name, "-shm") || strstr(name, " (deleted)") ? NULL : name;
}

static const char *name_of(int fd, char path[PATH_MAX]) {
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = journal < 0 ? -1 : readlink(link, path, PATH_MAX - 1);
    if (length < 0) return NULL;
    path[length] = 0;
    return within(path);
}

static int opened(__typeof__(&open) real, const char *path, int flags, mode_t mode) {
    const char *name = flags & O_CREAT ? within(path) : NULL;
    if (!name) return real(path, flags, mode);
    pthread_mutex_lock(&mutex);
    int anew = access(path, F_OK) != 0;
    int fd = real(path, flags, mode);
    if (anew && fd >= 0) record(CREATED, name, 0, "", 0);
    pthread_mutex_unlock(&mutex);
    return fd;
}

#define OPEN(name)                                         \
    int name(const char *path, int flags, ...) {           \
        va_list rest;                                      \
        va_start(rest, flags);                             \
        mode_t mode = va_arg(rest, mode_t);                \
        va_end(rest);                                      \
        return opened(REAL(name), path, flags, mode);      \
    }
OPEN(open)
OPEN(open64)

static ssize_t written(const void *bytes, ssize_t done, off_t offset, const char *name) {
    if (done > 0) record(WRITTEN, name, (uint64_t)offset, bytes, (uint64_t)done);
    pthread_mutex_unlock(&mutex);
    return done;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    char path[PATH_MAX];
    struct stat status;
    const char *name = name_of(fd, path);
    if (!name) return REAL(write)(fd, bytes, length);
    pthread_mutex_lock(&mutex);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    if (fcntl(fd, F_GETFL) & O_APPEND && fstat(fd, &status) == 0) offset = status.st_size;
    return written(bytes, REAL(write)(fd, bytes, length), offset, name);
}

#define PWRITE(call)                                                                     \
    ssize_t call(int fd, const void *bytes, size_t length, off_t offset) {               \
        char path[PATH_MAX];                                                             \
        const char *name = name_of(fd, path);                                            \
        if (!name) return REAL(call)(fd, bytes, length, offset);                         \
        pthread_mutex_lock(&mutex);                                                      \
        return written(bytes, REAL(call)(fd, bytes, length, offset), offset, name);  \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define TRUNCATE(call)                                                            \
    int call(int fd, off_t length) {                                              \
        char path[PATH_MAX];                                                      \
        const char *name = name_of(fd, path);                                     \
        if (!name) return REAL(call)(fd, length);                                 \
        pthread_mutex_lock(&mutex);                                               \
        int failed = REAL(call)(fd, length);                                      \
        if (!failed) record(TRUNCATED, name, (uint64_t)length, "", 0);            \
        pthread_mutex_unlock(&mutex);                                             \
        return failed;                                                            \
    }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

int unlink(const char *path) {
    const char *name = within(path);
    if (!name) return REAL(unlink)(path);
    pthread_mutex_lock(&mutex);
    int failed = REAL(unlink)(path);
    if (!failed) record(UNLINKED, name, 0, "", 0);
    pthread_mutex_unlock(&mutex);
    return failed;
}

static void hold(void) {
    const char *flag = getenv("POWER_HOLDS");
    char held[PATH_MAX];
    if (!flag || access(flag, F_OK) != 0) return;
    snprintf(held, sizeof held, "%s.held", flag);
    close(REAL(open)(held, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    while (access(flag, F_OK) == 0) usleep(1000);
}

/* Covers what was recorded when it began; what is written while it is under way, it may or may not. */
static int synced(int fd, int (*real)(int)) {
    char path[PATH_MAX];
    const char *name = name_of(fd, path);
    if (!name) return real(fd);
    hold();
    pthread_mutex_lock(&mutex);
    uint64_t covered = recorded;
    pthread_mutex_unlock(&mutex);
    if (real(fd) != 0) return -1;
    const char *forgets = getenv("POWER_FORGETS");
    size_t end = forgets ? strlen(forgets) : 0;
    if (end && strlen(name) >= end && strcmp(name + strlen(name) - end, forgets) == 0) return 0;
    pthread_mutex_lock(&mutex);
    record(SYNCED, name, covered, "", 0);
    pthread_mutex_unlock(&mutex);
    return 0;
}

int fsync(int fd) { return synced(fd, REAL(fsync)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }
