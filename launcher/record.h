/*
 * record.h: --record: the program's calls of malloc go to a trace.
 *
 * Layer: launcher, above environment. Threads: one.
 */
#ifndef CB_LAUNCHER_RECORD_H
#define CB_LAUNCHER_RECORD_H

/*
 * Puts the option for the recorder into the environment. An older trace of this name is removed; any other file is
 * left, and ends the launcher, as does a name that cannot be.
 */
void cb_record_prepare(const char *file);

#endif
