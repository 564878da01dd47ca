/* Stands between a store and its files. It writes down what becomes of them, and at a call that it was told of kills
 * the process: before it, in the middle, or after it. Raw system calls, so that it needs nothing of the library. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { WRITE, SYNC, TRUNCATE, RENAME, UNLINK, CREATE };
enum file { JOURNAL, TABLES, FOLDER, OTHER, NOT_OF_THE_STORE = -1 };
enum moment { BEFORE, MIDDLE, AFTER, NOT_NOW = -1 };

/* What tests write and read, eight bytes each. */
static struct control {
    _Atomic int64_t countdown; /* calls until the kill, if above 0 */
    int64_t kinds, files;      /* which calls count, a bit each */
    int64_t moment, bytes;     /* when in the call; how much of a write is done until the middle */
    _Atomic int64_t records;   /* how many have been written down */
    _Atomic int64_t is_killed;
} *control;

static char folder[4096];
static size_t folder_length;
static int journal_of_calls = -1;
static pthread_mutex_t in_order = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("STORE_TAP_CONTROL"), *calls = getenv("STORE_TAP_CALLS"), *of = getenv("STORE_TAP_FOLDER");
    if (!path || !calls || !of || strlen(of) >= sizeof folder)
        abort();
    strcpy(folder, of);
    folder_length = strlen(of);
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    journal_of_calls = (int)syscall(SYS_openat, AT_FDCWD, calls, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || mapped == MAP_FAILED || journal_of_calls < 0)
        abort();
    syscall(SYS_close, file);
    control = mapped;
}

/* The name of a path within the folder, "." for the folder itself; none for others. */
static const char *name_of(const char *path) {
    if (!control || strncmp(path, folder, folder_length) != 0)
        return NULL;
    if (path[folder_length] == 0)
        return ".";
    return path[folder_length] == '/' ? path + folder_length + 1 : NULL;
}

static const char *name_of_open(int file, char path[4096]) {
    char link[32];
    if (!control || file <= 2)
        return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, 4095);
    if (length < 0)
        return NULL;
    path[length] = 0;
    const char *name = name_of(path);
    /* What is deleted is nobody's any more. */
    return name && !strstr(name, " (deleted)") ? name : NULL;
}

static enum moment moment_of(enum kind kind, const char *name) {
    enum file file = strncmp(name, "journal-", 8) == 0  ? JOURNAL
                     : strncmp(name, "tables", 6) == 0 ? TABLES
                     : strcmp(name, ".") == 0          ? FOLDER
                                                       : OTHER;
    if (atomic_load(&control->countdown) <= 0 || !(control->kinds >> kind & 1) || !(control->files >> file & 1))
        return NOT_NOW;
    return atomic_fetch_sub(&control->countdown, 1) == 1 ? (enum moment)control->moment : NOT_NOW;
}

static void die(void) {
    atomic_store(&control->is_killed, 1);
    for (;;)
        syscall(SYS_kill, getpid(), SIGKILL);
}

/* While nobody else is between doing a thing and writing it down. */
static void die_in_order(void) {
    pthread_mutex_lock(&in_order);
    die();
}

/* One record: what was done to what, a number, and bytes. */
static void write_down(enum kind kind, const char *name, int64_t number, const void *bytes, size_t length) {
    uint64_t head[4] = {kind, strlen(name), (uint64_t)number, length};
    struct iovec parts[3] = {{head, sizeof head}, {(void *)name, head[1]}, {(void *)bytes, length}};
    ssize_t whole = (ssize_t)(sizeof head + head[1] + length);
    int error = errno;
    if (syscall(SYS_writev, journal_of_calls, parts, 3) != whole)
        abort();
    atomic_fetch_add(&control->records, 1);
    errno = error;
}

static ssize_t write_at(int file, const char *name, const void *bytes, size_t length, off_t offset, int is_positioned) {
    enum moment moment = moment_of(WRITE, name);
    if (moment == BEFORE)
        die_in_order();
    pthread_mutex_lock(&in_order);
    size_t part = moment == MIDDLE && length ? (size_t)control->bytes % length : length;
    ssize_t done = is_positioned ? syscall(SYS_pwrite64, file, bytes, part, offset) : syscall(SYS_write, file, bytes, part);
    if (done > 0)
        write_down(WRITE, name, offset, bytes, (size_t)done);
    if (moment != NOT_NOW)
        die();
    pthread_mutex_unlock(&in_order);
    return done;
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off_t offset) {
    char path[4096];
    const char *name = name_of_open(file, path);
    return name ? write_at(file, name, bytes, length, offset, 1) : syscall(SYS_pwrite64, file, bytes, length, offset);
}

ssize_t write(int file, const void *bytes, size_t length) {
    char path[4096];
    const char *name = name_of_open(file, path);
    return name ? write_at(file, name, bytes, length, syscall(SYS_lseek, file, 0, SEEK_CUR), 0)
                : syscall(SYS_write, file, bytes, length);
}

static int sync_file(long call, int file) {
    char path[4096];
    const char *name = name_of_open(file, path);
    if (!name)
        return (int)syscall(call, file);
    enum moment moment = moment_of(SYNC, name);
    if (moment == BEFORE)
        die_in_order();
    /* It is about what was done before it began; others may write meanwhile. */
    pthread_mutex_lock(&in_order);
    int64_t begun = atomic_load(&control->records);
    pthread_mutex_unlock(&in_order);
    int result = (int)syscall(call, file);
    if (moment == MIDDLE)
        die_in_order();
    pthread_mutex_lock(&in_order);
    if (result == 0)
        write_down(SYNC, name, begun, NULL, 0);
    if (moment == AFTER)
        die();
    pthread_mutex_unlock(&in_order);
    return result;
}

int fsync(int file) { return sync_file(SYS_fsync, file); }

int fdatasync(int file) { return sync_file(SYS_fdatasync, file); }

int ftruncate64(int file, off_t length) {
    char path[4096];
    const char *name = name_of_open(file, path);
    if (!name)
        return (int)syscall(SYS_ftruncate, file, length);
    enum moment moment = moment_of(TRUNCATE, name);
    if (moment == BEFORE)
        die_in_order();
    pthread_mutex_lock(&in_order);
    int result = (int)syscall(SYS_ftruncate, file, length);
    if (result == 0)
        write_down(TRUNCATE, name, length, NULL, 0);
    if (moment != NOT_NOW)
        die();
    pthread_mutex_unlock(&in_order);
    return result;
}

int rename(const char *from, const char *to) {
    const char *name = name_of(from), *new_name = name_of(to);
    if (!name || !new_name)
        return (int)syscall(SYS_rename, from, to);
    enum moment moment = moment_of(RENAME, name);
    if (moment == BEFORE)
        die_in_order();
    pthread_mutex_lock(&in_order);
    int result = (int)syscall(SYS_rename, from, to);
    if (result == 0)
        write_down(RENAME, name, 0, new_name, strlen(new_name));
    if (moment != NOT_NOW)
        die();
    pthread_mutex_unlock(&in_order);
    return result;
}

int unlink(const char *path) {
    const char *name = name_of(path);
    if (!name)
        return (int)syscall(SYS_unlink, path);
    enum moment moment = moment_of(UNLINK, name);
    if (moment == BEFORE)
        die_in_order();
    pthread_mutex_lock(&in_order);
    int result = (int)syscall(SYS_unlink, path);
    if (result == 0)
        write_down(UNLINK, name, 0, NULL, 0);
    if (moment != NOT_NOW)
        die();
    pthread_mutex_unlock(&in_order);
    return result;
}

int open64(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    const char *name = flags & O_CREAT ? name_of(path) : NULL;
    if (!name || syscall(SYS_access, path, F_OK) == 0)
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    enum moment moment = moment_of(CREATE, name);
    if (moment == BEFORE)
        die_in_order();
    pthread_mutex_lock(&in_order);
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (file >= 0)
        write_down(CREATE, name, 0, NULL, 0);
    if (moment != NOT_NOW)
        die();
    pthread_mutex_unlock(&in_order);
    return file;
}
