/* There is no setjmp: the one test that needs it is left out. */
#define CB_TESTS_NO_JUMPS 1
