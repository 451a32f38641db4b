/*
 * A calculator. Each line of standard input is an expression, whose value is written, or gives a name to one:
 *     r = 3
 *     area = 3.14159 * r * r
 *     area / 2                   14.137155
 *     r = (1 + 2                 line 4: a closing bracket is missing
 *
 * It shows how to recover from errors. Each line is a scope. Wherever in the parser or the evaluation a fault is found,
 * longjmp leads to the reset of one mark, and all that the line allocated is gone. Only variables are committed.
 * Exit status: 0; 1 if a line was wrong, or longer than 998 characters, where it ends.
 */
#include <cutback_util.h>
#include <ctype.h>
#include <setjmp.h>
#include <stdlib.h>

struct node {
    char
        kind; /* + - * / of `left` and `right`, or n: a number, maybe a variable, with the older ones on its left */
    double number;
    const char *name;
    struct node *left, *right;
};

struct calculator {
    cutback_arena *arena;
    struct node *newest;  /* variable */
    unsigned long number; /* of the line */
    const char *at;       /* its next character */
    jmp_buf failed;
};

static _Noreturn void fail(struct calculator *c, const char *fault) {
    (void)fprintf(stderr, "line %lu: %s\n", c->number, fault);
    longjmp(c->failed, 1);
}

static void *check(struct calculator *c, void *block) {
    if (block == NULL)
        fail(c, "no memory left");
    return block;
}

static struct node *node(struct calculator *c, char kind, struct node *left, struct node *right) {
    struct node *made = check(c, cutback_new(c->arena, struct node));
    *made = (struct node){.kind = kind, .left = left, .right = right};
    return made;
}

/* Skips spaces. The next character is read if it is one of these; otherwise returns 0. */
static char take(struct calculator *c, const char *wanted) {
    c->at += strspn(c->at, " \t\r\n");
    return *c->at != 0 && strchr(wanted, *c->at) != NULL ? *c->at++ : 0;
}

/* Reads a name of *length letters, which may be 0. Returns the variable; NULL if there is none. */
static struct node *take_name(struct calculator *c, size_t *length) {
    struct node *found = c->newest;
    for (*length = 0; isalpha((unsigned char)*c->at); (*length)++)
        c->at++;
    while (found != NULL &&
           (strncmp(found->name, c->at - *length, *length) != 0 || found->name[*length] != 0))
        found = found->left;
    return found;
}

/* Level 0: sums, 1: products, 2: their parts. */
static struct node *parse(struct calculator *c, int level) {
    static const char *const signs[] = {"+-", "*/"};
    size_t length = 0;
    struct node *tree = level < 2 ? parse(c, level + 1) : NULL;
    if (level < 2) {
        for (char sign = take(c, signs[level]); sign != 0; sign = take(c, signs[level]))
            tree = node(c, sign, tree, parse(c, level + 1));
    } else if (take(c, "-")) {
        tree = node(c, '-', node(c, 'n', NULL, NULL), parse(c, 2)); /* 0 - it */
    } else if (take(c, "(")) {
        tree = parse(c, 0);
        if (!take(c, ")"))
            fail(c, "a closing bracket is missing");
    } else if (isdigit((unsigned char)*c->at)) {
        char *end = NULL;
        tree = node(c, 'n', NULL, NULL);
        tree->number = strtod(c->at, &end);
        c->at = end;
    } else if ((tree = take_name(c, &length)) == NULL) {
        fail(c, length != 0 ? "an unknown name" : "a number, a name or a bracket is missing");
    }
    return tree;
}

static double evaluate(struct calculator *c, const struct node *n) {
    if (n->kind == 'n')
        return n->number;
    double a = evaluate(c, n->left), b = evaluate(c, n->right);
    if (n->kind == '/' && b == 0)
        fail(c, "a division by 0");
    return n->kind == '+' ? a + b : n->kind == '-' ? a - b : n->kind == '*' ? a * b : a / b;
}

/* The value of the rest of the line: a scope inside that of the line, since the tree is not needed afterwards. */
static double value(struct calculator *c) {
    cutback_mark mark = cutback_mark_set(c->arena);
    double result = evaluate(c, parse(c, 0));
    if (*c->at != 0)
        fail(c, "an operator is missing");
    cutback_reset(c->arena, mark);
    return result;
}

static void define(struct calculator *c) {
    const char *name = c->at;
    size_t length = 0;
    struct node *variable = take_name(c, &length);
    if (length == 0 || !take(c, "="))
        fail(c, "this cannot be defined");
    double result = value(c);
    if (variable == NULL) {
        variable = node(c, 'n', c->newest, NULL);
        variable->name = check(c, cutback_strndup(c->arena, name, length));
        c->newest = variable;
    }
    variable->number = result;
}

static bool line(struct calculator *c, const char *text) {
    cutback_mark mark = cutback_mark_set(c->arena);
    if (setjmp(c->failed) != 0) {
        cutback_reset(c->arena, mark);
        return false;
    }
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
    static struct calculator calculator = {.arena = &arena, .at = ""};
    static char text[1000];
    int status = 0;
    for (calculator.number = 1; fgets(text, 1000, stdin) != NULL && strlen(text) < 999; calculator.number++)
        status |= !line(&calculator, text);
    return feof(stdin) && fflush(stdout) == 0 && !ferror(stdout) ? status : 1;
}
