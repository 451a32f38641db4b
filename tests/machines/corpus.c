/*
 * The arena against its model, on the scripts of fuzz/corpus/arena, which the builder of this program writes into
 * scripts.h.
 *
 * Layer: tests. Threading: none.
 */
#include <cmocka.h>

#include "pair.h"
#include "scripts.h"

static void the_corpus_agrees_with_the_model(void **state) {
    static struct pair pair;
    (void)state;
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        size_t where = 0;
        const char *fault = pair_run(&pair, scripts[i].bytes, scripts[i].size, &where);
        if (fault != NULL) {
            machine_print(scripts[i].name);
            machine_print(": step ");
            machine_print_number(where);
            machine_print(": ");
            machine_print(fault);
            machine_print("\n");
        }
        assert_null(fault);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_corpus_agrees_with_the_model)};
    return cmocka_run_group_tests_name("arena: corpus", tests, NULL, NULL);
}
