/* assert: a demand of the test that runs. */
#ifndef CB_TESTS_MACHINES_ASSERT_H
#define CB_TESTS_MACHINES_ASSERT_H

#include "machine.h"

#define assert(condition) ((condition) ? (void)0 : machine_fail(#condition, __FILE__, __LINE__))

#endif
