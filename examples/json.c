/*
 * A parser of JSON: see json.h.
 *
 * It shows two things. A string is decoded into a block as large as it can become, which is then cut to length: it is
 * on top, so the rest comes back. And an error, found at any depth, needs no cleaning up but the reset of one mark.
 */
#include "json.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 200 };

struct parser {
    cutback_arena *arena;
    const char *at;
    const char *fault; /* the first one; NULL while all is well */
};

static struct json *fail(struct parser *p, const char *fault) {
    if (p->fault == NULL)
        p->fault = fault;
    return NULL;
}

/* Whether this character comes next, after white space; it is then read. */
static bool take(struct parser *p, char wanted) {
    p->at += strspn(p->at, " \t\r\n");
    if (*p->at != wanted)
        return false;
    p->at++;
    return true;
}

static unsigned long parse_hex(struct parser *p) {
    char digits[5] = {0};
    if (strspn(p->at, "0123456789abcdefABCDEF") < 4) {
        fail(p, "four digits are missing");
        return 0;
    }
    memcpy(digits, p->at, 4);
    p->at += 4;
    return strtoul(digits, NULL, 16);
}

/* The character of a \u, in UTF-8. One beyond 0xFFFF is written as two of them. */
static char *parse_code(struct parser *p, char *to) {
    static const unsigned char first[] = {0, 0xC0, 0xE0, 0xF0};
    unsigned long code = parse_hex(p);
    if (code >= 0xD800 && code < 0xDC00 && strncmp(p->at, "\\u", 2) == 0) {
        p->at += 2;
        code = 0x10000 + ((code & 0x3FF) << 10) + (parse_hex(p) & 0x3FF);
    }
    int more = (code >= 0x80) + (code >= 0x800) + (code >= 0x10000); /* bytes after the first */
    *to++ = (char)(first[more] | code >> (6 * more));
    while (more-- > 0)
        *to++ = (char)(0x80 | (code >> (6 * more) & 0x3F));
    return to;
}

static char *parse_escape(struct parser *p, char *to) {
    static const char names[] = "\"\\/bfnrt";
    const char *name = *p->at != 0 ? strchr(names, *p->at) : NULL;
    if (*p->at == 'u') {
        p->at++;
        return parse_code(p, to);
    }
    if (name == NULL) {
        fail(p, "an unknown escape");
        return to;
    }
    p->at++;
    *to = "\"\\/\b\f\n\r\t"[name - names];
    return to + 1;
}

/* The text that follows the quote. */
static struct json *parse_string(struct parser *p, struct json *value) {
    size_t most = 1; /* as many bytes as up to the other quote, for escapes only get shorter; and a 0 */
    for (const char *end = p->at; *end != '"' && *end != 0; end++, most++)
        if (*end == '\\' && end[1] != 0) {
            end++;
            most++;
        }
    char *text = cutback_alloc(p->arena, most, 1);
    if (text == NULL)
        return fail(p, "no memory left");
    char *to = text;
    while (*p->at != '"') {
        if ((unsigned char)*p->at < ' ')
            return fail(p, "a string without an end");
        if (*p->at == '\\') {
            p->at++;
            to = parse_escape(p, to);
        } else {
            *to++ = *p->at++;
        }
        if (p->fault != NULL)
            return NULL;
    }
    p->at++;
    *to = 0;
    value->length = (size_t)(to - text);
    value->text = cutback_realloc(p->arena, text, most, value->length + 1, 1); /* stays where it is */
    return value;
}

static void skip_digits(struct parser *p) {
    size_t count = strspn(p->at, "0123456789");
    if (count == 0)
        fail(p, "a value is missing, or a digit");
    p->at += count;
}

static struct json *parse_plain(struct parser *p, struct json *value) {
    static const char *const words[] = {"true", "false", "null"};
    value->text = p->at;
    for (size_t i = 0; i < 3 && value->length == 0; i++)
        if (strncmp(p->at, words[i], strlen(words[i])) == 0)
            p->at += value->length = strlen(words[i]);
    if (value->length != 0)
        return value;
    p->at += *p->at == '-';
    if (*p->at == '0')
        p->at++;
    else
        skip_digits(p);
    if (*p->at == '.') {
        p->at++;
        skip_digits(p);
    }
    if (*p->at == 'e' || *p->at == 'E') {
        p->at += p->at[1] == '+' || p->at[1] == '-' ? 2 : 1;
        skip_digits(p);
    }
    value->length = (size_t)(p->at - value->text);
    return value;
}

static struct json *parse_value(struct parser *p, int depth) {
    struct json *value = cutback_calloc(p->arena, 1, sizeof *value, alignof(struct json));
    if (value == NULL || depth == DEEPEST)
        return fail(p, value == NULL ? "no memory left" : "too deep");
    value->kind = take(p, '"')   ? JSON_STRING
                  : take(p, '[') ? JSON_ARRAY
                  : take(p, '{') ? JSON_OBJECT
                                 : JSON_PLAIN;
    if (value->kind == JSON_STRING)
        return parse_string(p, value);
    if (value->kind == JSON_PLAIN)
        return parse_plain(p, value);
    char close = value->kind == JSON_ARRAY ? ']' : '}';
    if (take(p, close))
        return value;
    struct json **link = &value->first;
    do {
        struct json *name = value->kind == JSON_OBJECT ? parse_value(p, depth + 1) : NULL;
        if (p->fault == NULL && name != NULL && (name->kind != JSON_STRING || !take(p, ':')))
            return fail(p, "a name and a colon are missing");
        *link = parse_value(p, depth + 1);
        if (p->fault != NULL)
            return NULL;
        (*link)->name = name;
        link = &(*link)->next;
    } while (take(p, ','));
    return take(p, close) ? value : fail(p, "a comma or a closing bracket is missing");
}

const struct json *json_parse(cutback_arena *arena, const char *text, const char **fault, const char **at) {
    struct parser p = {arena, text, NULL};
    cutback_mark mark = cutback_mark_set(arena);
    const struct json *value = parse_value(&p, 0);
    if (p.fault == NULL && !take(&p, 0))
        fail(&p, "there is more after the end");
    if (p.fault == NULL) {
        cutback_commit(arena, mark);
        return value;
    }
    *fault = p.fault;
    *at = p.at;
    cutback_reset(arena, mark);
    return NULL;
}
