// Descriptors, files, and mapped files.
#include "Call.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

// From <linux/fs.h>, which does not exist for every target.
#define FS_IOC_GETFLAGS _IOR('f', 1, long)
#define FS_IOC_SETFLAGS _IOW('f', 2, long)
#define FS_NOCOW_FL 0x00800000

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

int64_t cl_read(int fd, void *bytes, size_t count) {
  FAULT("read");
  return REPEAT(int64_t, read(fd, bytes, count));
}
int64_t cl_write(int fd, const void *bytes, size_t count) {
  FAULT("write");
  return REPEAT(int64_t, write(fd, bytes, count));
}
// Linux closes the descriptor even when close is interrupted, so do not repeat it.
int cl_close(int fd) { return RESULT(close(fd)); }

int cl_open(const char *path, int flags, uint32_t mode) {
  FAULT("open");
  int how = O_CLOEXEC | ((flags & 24) ? O_RDONLY : O_RDWR);
  if (flags & 1) how |= O_CREAT;
  if (flags & 2) how |= O_TRUNC;
  if (flags & 4) how |= O_EXCL;
  if (flags & 16) how |= O_DIRECTORY;
  return REPEAT(int, open(path, how, (mode_t)mode));
}
int cl_open_regular(const char *path, uint32_t mode) {
  struct stat status;
  // Opening a device may already have an effect.
  if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
    return S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
  int fd = cl_open(path, 1, mode);
  if (fd < 0 || (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))) return fd;
  close(fd);
  return -EINVAL;
}
int cl_open_memory(void) {
  FAULT("memfd_create");
  return RESULT((int)syscall(SYS_memfd_create, "state", 1 /* MFD_CLOEXEC */));
}
int64_t cl_file_size(int fd) {
  FAULT("fstat");
  struct stat status;
  return fstat(fd, &status) < 0 ? -errno : (int64_t)status.st_size;
}
int cl_file_identity(const char *path, int fd, uint64_t *device, uint64_t *number) {
  struct stat status;
  if ((path ? lstat(path, &status) : fstat(fd, &status)) < 0) return -errno;
  *device = (uint64_t)status.st_dev;
  *number = (uint64_t)status.st_ino;
  return 0;
}
// Writes zeros after the end of the file; removes them again if there is not enough room.
static int append_zeros(int fd, int64_t offset, int64_t size) {
  static char zeros[4096];  // never written to, and no bytes of the program
  for (int64_t done = 0; done < size;) {
    size_t count = size - done < (int64_t)sizeof zeros ? (size_t)(size - done) : sizeof zeros;
    ssize_t written = REPEAT(ssize_t, pwrite(fd, zeros, count, offset + done));
    if (written <= 0) {
      if (ftruncate(fd, offset) < 0) return -errno;
      return written < 0 ? (int)written : -ENOSPC;
    }
    done += written;
  }
  return 0;
}
static int file_flags(int fd) {
  int flags = 0;
  return ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 ? 0 : flags;
}
int cl_file_allocate(int fd, int64_t offset, int64_t size) {
  FAULT("fallocate");
  struct stat status;
  if (fstat(fd, &status) < 0) return -errno;
  int is_behind = status.st_size <= offset;
  int result = REPEAT(int, fallocate(fd, 0, offset, size));
  // ext2 and ext3, and some file systems of networks and desktops, do not allocate. What btrfs has
  // allocated may still need room for its records at the first write through memory: SIGBUS.
  int has_to_write = result == -EOPNOTSUPP || (result == 0 && (file_flags(fd) & FS_NOCOW_FL));
  return has_to_write && is_behind ? append_zeros(fd, offset, size) : result;
}
void cl_file_overwrite_in_place(int fd) {
  int flags = file_flags(fd) | FS_NOCOW_FL;
  ioctl(fd, FS_IOC_SETFLAGS, &flags);
}
int cl_file_lock(int fd) { FAULT("flock"); return REPEAT(int, flock(fd, LOCK_EX | LOCK_NB)); }
int cl_file_sync(int fd) { FAULT("fdatasync"); return REPEAT(int, fdatasync(fd)); }
int64_t cl_read_link(const char *path, char *target, size_t size) {
  return RESULT(readlink(path, target, size));
}
int cl_count_names(
  const char *folder, const char *prefix, int is_greatest, char *name, size_t size) {
  DIR *list = opendir(folder);
  if (!list) return -errno;
  int count = 0;
  size_t length = strlen(prefix);
  for (struct dirent *entry; (entry = readdir(list));) {
    if (strncmp(entry->d_name, prefix, length) != 0 || strlen(entry->d_name) >= size) continue;
    if (count++ > 0 && (strcmp(entry->d_name, name) > 0) != is_greatest) continue;
    strcpy(name, entry->d_name);
  }
  closedir(list);
  return count;
}
int cl_rename(const char *source, const char *target) {
  FAULT("rename");
  return RESULT(rename(source, target));
}
int cl_rename_new(const char *source, const char *target) {
  // Not every C library has a function for this.
  return RESULT(
    syscall(SYS_renameat2, AT_FDCWD, source, AT_FDCWD, target, 1 /* RENAME_NOREPLACE */));
}
int cl_remove_socket(const char *path) {
  struct stat status;
  if (lstat(path, &status) < 0) return errno == ENOENT ? 0 : -errno;
  if (!S_ISSOCK(status.st_mode) && !S_ISLNK(status.st_mode)) return -EADDRINUSE;
  return cl_unlink(path);
}

int cl_unlink(const char *path) { FAULT("unlink"); return RESULT(unlink(path)); }
int cl_make_directory(const char *path, uint32_t mode) {
  FAULT("mkdir");
  return RESULT(mkdir(path, (mode_t)mode));
}
int cl_is_writable_directory(const char *path) { return access(path, W_OK | X_OK) == 0; }
void *cl_map_shared(int fd, uint64_t size) {
  FAULT_NULL("mmap");
  void *base = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return base == MAP_FAILED ? NULL : base;
}
int cl_map_instead(void *base, uint64_t size, int fd) {
  void *mapped = mmap(base, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
  return mapped == MAP_FAILED ? -errno : 0;
}
void *cl_map_anonymous_shared(uint64_t size) {
  FAULT_NULL("mmap");
  int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE;
  void *base = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, flags, -1, 0);
  return base == MAP_FAILED ? NULL : base;
}
void cl_touch(void *start, size_t count) {
  // Only whole pages; a kernel before 5.14 refuses, which does no harm.
  uintptr_t from = ((uintptr_t)start + 4095) & ~(uintptr_t)4095;
  uintptr_t to = ((uintptr_t)start + count) & ~(uintptr_t)4095;
  if (to > from) madvise((void *)from, to - from, MADV_POPULATE_WRITE);
}
int cl_unmap(void *base, uint64_t size) { return RESULT(munmap(base, (size_t)size)); }
int cl_last_error(void) { return errno; }
