// Threads: start one, wait for its end.
#include "Call.h"

#include <pthread.h>
#include <stdlib.h>

typedef struct start { void (*body)(void *); void *argument; } start;
static void *run_thread(void *pointer) {
  start copy = *(start *)pointer;
  free(pointer);
  copy.body(copy.argument);
  return NULL;
}
int cl_thread_start(void (*body)(void *), void *argument, uint64_t *thread) {
  FAULT("pthread_create");
  start *copy = malloc(sizeof *copy);
  if (!copy) return -ENOMEM;
  *copy = (start){.body = body, .argument = argument};
  pthread_t created;
  int code = pthread_create(&created, NULL, run_thread, copy);
  if (code != 0) {
    free(copy);
    return -code;
  }
  *thread = (uint64_t)(uintptr_t)created;
  return 0;
}
int cl_thread_join(uint64_t thread) { return -pthread_join((pthread_t)(uintptr_t)thread, NULL); }
