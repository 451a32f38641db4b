/*
 * debug.h: --debug: runs the program under the debug variant, and says at the end what was found.
 *
 * Layer: launcher, above child. Threads: one.
 */
#ifndef CB_LAUNCHER_DEBUG_H
#define CB_LAUNCHER_DEBUG_H

/* Runs the program at this path with the launcher's environment. Ends the launcher as the program ended. */
_Noreturn void cb_debug_run(const char *path, char **words);

#endif
