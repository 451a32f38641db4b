/*
 * JSON as a tree in an arena.
 *
 * The tree has no function that frees it. Its owner sets a mark before json_parse, and resets it when the tree is not
 * wanted any more; or clears the arena.
 */
#ifndef EXAMPLES_JSON_H
#define EXAMPLES_JSON_H

#include <cutback.h>

struct json {
    enum { JSON_PLAIN, JSON_STRING, JSON_ARRAY, JSON_OBJECT } kind; /* plain: a number, true, false, null */
    size_t length;
    const char *
        text; /* plain: in the text that was parsed, as it is written there; of a string: decoded, in UTF-8 */
    struct json *name;  /* of a member of an object */
    struct json *first; /* element of an array, or member of an object */
    struct json *next;  /* in the same array or object */
};

/*
 * The value that the text is; it ends with a 0, and outlives the tree. Where it is none, or memory runs out, returns
 * NULL, says in *fault why and in *at where; the arena then is as it was before.
 */
const struct json *json_parse(cutback_arena *arena, const char *text, const char **fault, const char **at);

#endif
