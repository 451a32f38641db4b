/*
 * A calculator. Each line of standard input is an expression, whose value is written, or defines a number, or a function
 * of x:
 *
 *     r = 3
 *     area(x) = 3.14159 * x * x
 *     area(r) / 2                14.137155
 *     r = (1 + 2                 line 4: a closing bracket is missing
 *
 * It shows how to recover from errors. Each line is a scope. Wherever in the parser or the evaluation a fault is found,
 * longjmp leads to the reset of one mark, and all that the line allocated is gone. Only definitions are committed.
 *
 * Exit status: 0; 1 if a line was wrong.
 */
#include <cutback.h>
#include <ctype.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 200, STEPS = 1000000 };

struct node {
    char kind; /* + - * / or n: a number, x: what the function is of, f: a function of what is left */
    double number;
    const struct node *left;
    const struct node *right; /* f: the body of the function */
};

struct definition {
    const struct definition *older;
    const struct node *body;
    size_t length;
    const char *name;
};

struct calculator {
    cutback_arena *arena;
    const struct definition *newest;
    const char *at; /* the next character of the line */
    int steps;      /* of evaluation that are left to it */
    const char *fault;
    jmp_buf failed;
};

static _Noreturn void fail(struct calculator *c, const char *fault) {
    c->fault = fault;
    longjmp(c->failed, 1);
}

static void *allocate(struct calculator *c, size_t size, size_t align) {
    void *block = cutback_alloc(c->arena, size, align);
    if (block == NULL)
        fail(c, "no memory left");
    return block;
}

static struct node *node(struct calculator *c, char kind, const struct node *left, const struct node *right) {
    struct node *made = allocate(c, sizeof *made, alignof(struct node));
    *made = (struct node){kind, 0, left, right};
    return made;
}

/* The next character after spaces, if it is one of these, and reads it; otherwise 0. */
static char take(struct calculator *c, const char *wanted) {
    c->at += strspn(c->at, " \t\r\n");
    return *c->at != 0 && strchr(wanted, *c->at) != NULL ? *c->at++ : 0;
}

static size_t name_length(const char *text) {
    size_t length = 0;
    while (isalpha((unsigned char)text[length]))
        length++;
    return length;
}

static const struct node *parse(struct calculator *c, int level, int depth);

static const struct node *parse_name(struct calculator *c, int depth) {
    const char *name = c->at;
    size_t length = name_length(name);
    const struct definition *found = c->newest;
    while (found != NULL && (found->length != length || memcmp(found->name, name, length) != 0))
        found = found->older;
    if (length == 0)
        fail(c, "a number, a name or a bracket is missing");
    if (found == NULL && (length != 1 || *name != 'x'))
        fail(c, "an unknown name");
    c->at += length;
    if (found == NULL)
        return node(c, 'x', NULL, NULL);
    const struct node *argument = take(c, "(") ? parse(c, 0, depth) : NULL;
    if (argument != NULL && !take(c, ")"))
        fail(c, "a closing bracket is missing");
    return argument != NULL ? node(c, 'f', argument, found->body) : found->body;
}

static const struct node *parse_factor(struct calculator *c, int depth) {
    if (depth == DEEPEST)
        fail(c, "too many brackets");
    if (take(c, "-"))
        return node(c, '-', node(c, 'n', NULL, NULL), parse_factor(c, depth + 1));
    if (take(c, "(")) {
        const struct node *inside = parse(c, 0, depth + 1);
        if (!take(c, ")"))
            fail(c, "a closing bracket is missing");
        return inside;
    }
    if (!isdigit((unsigned char)*c->at))
        return parse_name(c, depth + 1);
    struct node *number = node(c, 'n', NULL, NULL);
    char *end = NULL;
    number->number = strtod(c->at, &end);
    c->at = end;
    return number;
}

/* Level 0: sums, 1: products, 2: factors. */
static const struct node *parse(struct calculator *c, int level, int depth) {
    const char *signs = level == 0 ? "+-" : "*/";
    if (level == 2)
        return parse_factor(c, depth);
    const struct node *left = parse(c, level + 1, depth);
    for (char sign = take(c, signs); sign != 0; sign = take(c, signs))
        left = node(c, sign, left, parse(c, level + 1, depth));
    return left;
}

static double evaluate(struct calculator *c, const struct node *n, double x, int depth) {
    if (c->steps-- == 0 || depth == 10 * DEEPEST)
        fail(c, "that takes too long");
    if (n->kind == 'n' || n->kind == 'x')
        return n->kind == 'n' ? n->number : x;
    double left = evaluate(c, n->left, x, depth + 1);
    double right = evaluate(c, n->right, n->kind == 'f' ? left : x, depth + 1);
    switch (n->kind) {
    case '+':
        return left + right;
    case '-':
        return left - right;
    case '*':
        return left * right;
    case '/':
        return left / right;
    default:
        return right;
    }
}

static const struct node *rest_of_line(struct calculator *c) {
    const struct node *tree = parse(c, 0, 0);
    if (take(c, "") || *c->at != 0)
        fail(c, "an operator is missing");
    return tree;
}

/* The value of the rest of the line: a scope inside that of the line, since the tree is not needed afterwards. */
static double value(struct calculator *c) {
    cutback_mark mark = cutback_mark_set(c->arena);
    double result = evaluate(c, rest_of_line(c), 0, 0);
    cutback_reset(c->arena, mark);
    return result;
}

/* NAME = ..., or NAME(x) = ... */
static void define(struct calculator *c) {
    struct definition *d = allocate(c, sizeof *d, alignof(struct definition));
    size_t length = name_length(c->at);
    char *name = memcpy(allocate(c, length, 1), c->at, length);
    c->at += length;
    bool function = take(c, "(") && take(c, "x") && take(c, ")");
    if (length == 0 || !take(c, "="))
        fail(c, "this cannot be defined");
    struct node *number = function ? NULL : node(c, 'n', NULL, NULL);
    if (number != NULL)
        number->number = value(c);
    *d = (struct definition){c->newest, function ? rest_of_line(c) : number, length, name};
    c->newest = d;
}

static bool line(struct calculator *c, const char *text) {
    cutback_mark mark = cutback_mark_set(c->arena);
    if (setjmp(c->failed) != 0) {
        cutback_reset(c->arena, mark);
        return false;
    }
    c->steps = STEPS;
    c->at = text;
    if (strchr(text, '=') != NULL)
        define(c);
    else if (text[strspn(text, " \t\r\n")] != 0)
        printf("%.10g\n", value(c));
    return cutback_commit(c->arena, mark);
}

int main(void) {
    static unsigned char memory[65536];
    static cutback_slot ring[16];
    static cutback_arena arena = CUTBACK_INIT(memory, ring);
    static struct calculator calculator = {.arena = &arena};
    static char text[1000];
    int status = 0;
    for (unsigned long number = 1; fgets(text, sizeof text, stdin) != NULL; number++)
        if (!line(&calculator, text)) {
            (void)fprintf(stderr, "line %lu: %s\n", number, calculator.fault);
            status = 1;
        }
    return fflush(stdout) == 0 && !ferror(stdout) ? status : 1;
}
