/*
 * only.h: how the launcher tells libcutback_only.so which programs get which library.
 *
 * Layer: launcher. Threads: any.
 */
#ifndef CB_LAUNCHER_ONLY_H
#define CB_LAUNCHER_ONLY_H

#define CB_ONLY_NAMES "CUTBACK_ONLY"           /* names of programs, separated by commas */
#define CB_ONLY_LIBRARY "CUTBACK_ONLY_PRELOAD" /* the path of the library they get */

#endif
