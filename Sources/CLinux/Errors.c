// Descriptions of error numbers.
#include "Call.h"

#include <string.h>

// Names for common errors; there is no function for them in every C library.
const char *cl_error_name(int code) {
#define NAME(error) case error: return #error
  switch (code) {
    NAME(EPERM); NAME(ENOENT); NAME(EINTR); NAME(EIO); NAME(EBADF); NAME(EAGAIN); NAME(ENOMEM);
    NAME(EACCES); NAME(EBUSY); NAME(EEXIST); NAME(ENODEV); NAME(ENOTDIR); NAME(EISDIR);
    NAME(EINVAL); NAME(ENFILE); NAME(EMFILE); NAME(EFBIG); NAME(ENOSPC); NAME(EROFS); NAME(EPIPE);
    NAME(ENAMETOOLONG); NAME(ENOSYS); NAME(ENOTEMPTY); NAME(ELOOP); NAME(EOVERFLOW);
    NAME(ENOTSOCK); NAME(EMSGSIZE); NAME(EPROTOTYPE); NAME(EOPNOTSUPP); NAME(EAFNOSUPPORT);
    NAME(EADDRINUSE); NAME(EADDRNOTAVAIL); NAME(ENETUNREACH); NAME(ECONNABORTED);
    NAME(ECONNRESET); NAME(ENOBUFS); NAME(EISCONN); NAME(ENOTCONN); NAME(ETIMEDOUT);
    NAME(ECONNREFUSED); NAME(EHOSTUNREACH); NAME(EALREADY); NAME(EINPROGRESS); NAME(EDQUOT);
  }
#undef NAME
  return "E?";
}
const char *cl_error_text(int code) { return strerror(code); }
