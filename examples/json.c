/*
 * A parser of JSON: see json.h. A string is decoded into a block as large as it can become, which is then cut to its
 * length: on top, so the rest comes back. An error, at any depth, needs no cleaning up but the reset of one mark.
 */
#include "json.h"
#include <cutback_util.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 200 };

struct parser {
    cutback_arena *arena;
    const char *at;    /* the next character of the text */
    const char *fault; /* the first one; NULL while all is well */
};

static void *fail(struct parser *p, const char *fault) {
    if (p->fault == NULL)
        p->fault = fault;
    return NULL;
}

/* Whether this comes next; it is then read. */
static bool take(struct parser *p, const char *wanted) {
    bool found = strncmp(p->at, wanted, strlen(wanted)) == 0;
    p->at += found ? strlen(wanted) : 0;
    return found;
}

/* The same after white space, which is read in any case. */
static bool take_token(struct parser *p, const char *wanted) {
    p->at += strspn(p->at, " \t\r\n");
    return take(p, wanted);
}

static unsigned long parse_hex(struct parser *p) {
    char digits[5] = "";
    if (strspn(p->at, "0123456789abcdefABCDEF") < 4)
        fail(p, "four digits are missing");
    else
        memcpy(digits, p->at, 4);
    p->at += strlen(digits);
    return strtoul(digits, NULL, 16);
}

/* Writes the character that stands behind a backslash, in UTF-8, and returns where it ends. */
static char *parse_escape(struct parser *p, char *to) {
    static const char names[] = "\"\\/bfnrtu", codes[] = "\"\\/\b\f\n\r\t";
    static const unsigned char first[] = {0, 0xC0, 0xE0, 0xF0};
    const char *name = *p->at != 0 ? strchr(names, *p->at) : NULL;
    if (name == NULL)
        return fail(p, "an unknown escape");
    p->at++;
    unsigned long code = *name == 'u' ? parse_hex(p) : (unsigned long)codes[name - names];
    unsigned long low = code >= 0xD800 && code < 0xDC00 && take(p, "\\u") ? parse_hex(p) : 0;
    if (low >= 0xDC00 && low < 0xE000) /* the two halves of one beyond 0xFFFF */
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    if (code >= 0xD800 && code < 0xE000)
        return fail(p, "half a character");
    int more = (code >= 0x80) + (code >= 0x800) + (code >= 0x10000); /* bytes after the first */
    *to++ = (char)(first[more] | code >> (6 * more));
    while (more-- > 0)
        *to++ = (char)(0x80 | (code >> (6 * more) & 0x3F));
    return to;
}

/* The text is no longer than what stands before the other quote: no escape is shorter than its character. */
static struct json *parse_string(struct parser *p, struct json *value) {
    const char *end = p->at;
    while (*end != '"' && *end != 0)
        end += *end == '\\' && end[1] != 0 ? 2 : 1;
    size_t room = (size_t)(end - p->at) + 1;
    char *text = cutback_array(p->arena, char, room);
    char *to = text;
    if (text == NULL)
        return fail(p, "no memory left");
    while (p->fault == NULL && (unsigned char)*p->at >= ' ' && *p->at != '"')
        if (take(p, "\\"))
            to = parse_escape(p, to);
        else
            *to++ = *p->at++;
    if (p->fault != NULL || !take(p, "\""))
        return fail(p, "a string without an end");
    *to = 0;
    *value = (struct json){.kind = JSON_STRING, .length = (size_t)(to - text)};
    value->text = cutback_resize(p->arena, char, text, room, value->length + 1); /* stays where it is */
    return value;
}

static void skip_digits(struct parser *p) {
    if (strspn(p->at, "0123456789") == 0)
        fail(p, "a value is missing, or a digit");
    p->at += strspn(p->at, "0123456789");
}

/* A word or a number. It is not copied. */
static struct json *parse_plain(struct parser *p, struct json *value) {
    const char *text = p->at;
    if (!take(p, "true") && !take(p, "false") && !take(p, "null")) {
        take(p, "-");
        if (!take(p, "0"))
            skip_digits(p);
        if (take(p, "."))
            skip_digits(p);
        if (take(p, "e+") || take(p, "E+") || take(p, "e-") || take(p, "E-") || take(p, "e") || take(p, "E"))
            skip_digits(p);
    }
    *value = (struct json){.kind = JSON_PLAIN, .length = (size_t)(p->at - text), .text = text};
    return p->fault == NULL ? value : NULL;
}

static struct json *parse_value(struct parser *p, int depth) {
    struct json *value = cutback_new(p->arena, struct json);
    if (value == NULL || depth == DEEPEST)
        return fail(p, value == NULL ? "no memory left" : "too deep");
    if (take_token(p, "\""))
        return parse_string(p, value);
    bool object = take(p, "{");
    if (!object && !take(p, "["))
        return parse_plain(p, value);
    struct json **link = &value->first;
    *value = (struct json){.kind = object ? JSON_OBJECT : JSON_ARRAY};
    if (take_token(p, object ? "}" : "]"))
        return value;
    do {
        struct json *name = object ? parse_value(p, depth + 1) : NULL;
        if (object && (name == NULL || name->kind != JSON_STRING || !take_token(p, ":")))
            return fail(p, "a name and a colon are missing");
        if ((*link = parse_value(p, depth + 1)) == NULL)
            return NULL;
        (*link)->name = name;
        link = &(*link)->next;
    } while (take_token(p, ","));
    return take(p, object ? "}" : "]") ? value : fail(p, "a comma or a closing bracket is missing");
}

const struct json *json_parse(cutback_arena *arena, const char *text, const char **fault, const char **at) {
    struct parser p = {arena, text, NULL};
    cutback_mark mark = cutback_mark_set(arena);
    const struct json *value = parse_value(&p, 0);
    if (value != NULL && take_token(&p, "") && *p.at != 0)
        fail(&p, "there is more after the end");
    if (p.fault == NULL && cutback_commit(arena, mark))
        return value;
    cutback_reset(arena, mark);
    *fault = p.fault;
    *at = p.at;
    return NULL;
}
