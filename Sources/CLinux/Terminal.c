// The user's terminal: its size, keys without Enter, and its state restored at the end.
#include "Call.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>

int cl_terminal_size(int fd) {
  struct winsize size;
  if (ioctl(fd, TIOCGWINSZ, &size) < 0) return -errno;
  return size.ws_col << 16 | size.ws_row;
}

static struct termios before;
static sigset_t open_mask;
static volatile sig_atomic_t has_ended;
static void note(int number) {
  if (number != SIGWINCH) has_ended = 1;
}
int cl_screen_begin(void) {
  if (tcgetattr(0, &before) < 0) return -errno;
  // Blocked except while waiting for a key, so that none arrives unseen between a check and the
  // wait.
  static const int numbers[] = {SIGWINCH, SIGINT, SIGTERM, SIGHUP};
  struct sigaction action = {.sa_handler = note};
  sigset_t held;
  sigemptyset(&action.sa_mask);
  sigemptyset(&held);
  for (int i = 0; i < 4; i++) {
    sigaction(numbers[i], &action, NULL);
    sigaddset(&held, numbers[i]);
  }
  sigprocmask(SIG_BLOCK, &held, &open_mask);
  struct termios raw = before;
  raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  raw.c_cc[VSUSP] = _POSIX_VDISABLE;
  return tcsetattr(0, TCSANOW, &raw) < 0 ? -errno : 0;
}
void cl_screen_end(void) { tcsetattr(0, TCSANOW, &before); }

int cl_screen_key(int timeout_milliseconds) {
  struct pollfd keys = {.fd = 0, .events = POLLIN};
  struct timespec time = {timeout_milliseconds / 1000, timeout_milliseconds % 1000 * 1000000L};
  int ready = ppoll(&keys, 1, &time, &open_mask);
  if (has_ended) return -1;
  if (ready <= 0) return 0;
  unsigned char bytes[16];
  ssize_t count = read(0, bytes, sizeof bytes);
  if (count <= 0) return -1;
  if (count < 3 || bytes[0] != 27) return bytes[0];
  switch (bytes[2]) {
  case 'A': return 'k';
  case 'B': return 'j';
  case '5': return 'K';
  case '6': return 'J';
  default: return 0;
  }
}
