/* Preloaded into a process, lets every flush of a file wait as long as the file that HANGS names is there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static int flush(const char *name, int file)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    const char *hangs = getenv("HANGS");
    while (hangs && access(hangs, F_OK) == 0)
        usleep(20000);
    return real(file);
}

int fdatasync(int file) { return flush("fdatasync", file); }

int fsync(int file) { return flush("fsync", file); }
