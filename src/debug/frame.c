/*
 * frame.c: how to get from a frame to its caller's, by the tables of the loaded objects (.eh_frame). See types.h.
 *
 * Layer: debug. Threads: any; no lock is taken. The unwinder of libgcc finds the tables, without locks or memory.
 *
 * The tables are programs that say, for each instruction of a function, where the frame of its caller begins (the CFA)
 * and where the registers of the caller are kept. A program is run up to the return address and what it says of three
 * registers (stack pointer, frame pointer, return address) is made a rule, if it is of one of these forms:
 *
 *   CFA = stack or frame pointer + a number; or, in a function that aligns its stack, a word in the frame;
 *   return address and frame pointer in words of the frame, or the latter not touched.
 *
 * Rules are remembered by return address in a table that a new rule overwrites. An entry is two words that are written
 * one after the other: the first is the address mixed with the second, so that words of two writers do not match.
 */
#include "debug/types.h"

#include "os/os.h"

#include <string.h>

#if defined(__x86_64__)
enum { FRAME = 6, STACK = 7, RETURN = 16 };
#elif defined(__aarch64__)
enum { FRAME = 29, STACK = 31, RETURN = 30 };
#else
enum { FRAME = -1, STACK = -2, RETURN = -3 }; /* no rule is simple: libgcc walks */
#endif

/* ---- Reading ---- */

/* libgcc's, which no header declares: where the table of an address is. */
struct bases {
    void *text, *data, *function;
};
const uint8_t *_Unwind_Find_FDE(void *address, struct bases *bases);

static uint64_t fixed(const uint8_t **at, size_t bytes) {
    uint64_t value = 0;
    memcpy(&value, *at, bytes); /* little-endian */
    *at += bytes;
    return value;
}

/* LEB128: seven bits a byte, lowest first. The sign is the uppermost of these bits, where the number has one. */
static uint64_t leb128(const uint8_t **at, bool has_sign) {
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte;
    do {
        byte = *(*at)++;
        value |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
        shift += 7;
    } while ((byte & 0x80) != 0);
    bool negative = has_sign && shift < 64 && (byte & 0x40) != 0;
    return negative ? value | ~(uint64_t)0 << shift : value;
}

static uint64_t number(const uint8_t **at) {
    return leb128(at, false);
}

static int64_t signed_number(const uint8_t **at) {
    return (int64_t)leb128(at, true);
}

/* ---- The program ---- */

struct place {
    enum { SAME, UNDEFINED, AT_CFA, EXPRESSION, OTHER } how;
    int64_t offset;            /* AT_CFA */
    const uint8_t *expression; /* EXPRESSION: its length and its bytes */
};

struct row {
    uint64_t cfa_register; /* not with an expression */
    int64_t cfa_offset;
    const uint8_t *cfa_expression; /* NULL: none */
    struct place frame, address;
};

#define REMEMBERED_MOST 8 /* states that one program may keep; with more it is not followed */

struct program {
    uint64_t code_unit;
    int64_t data_unit;
    uint8_t pointer_form; /* of the addresses in the function's entry */
    bool has_length;      /* of what is added to entries */
    uintptr_t at;         /* the instruction that the row is of */
    struct row row, initial, remembered[REMEMBERED_MOST];
    unsigned depth;
};

/* Where the place of the register is noted; a place that nobody reads where it is of no interest. */
static struct place *place_of(struct program *program, uint64_t of, struct place *ignored) {
    return of == FRAME ? &program->row.frame : of == RETURN ? &program->row.address : ignored;
}

static void skip_expression(const uint8_t **p) {
    uint64_t length = number(p);
    *p += length;
}

/* False: the stack pointer of the caller is not its CFA. */
static bool set_place(struct program *program, uint64_t of, struct place place) {
    struct place ignored;
    *place_of(program, of, &ignored) = place;
    return of != STACK;
}

static void restore(struct program *program, uint64_t of) {
    if (of == FRAME) {
        program->row.frame = program->initial.frame;
    } else if (of == RETURN) {
        program->row.address = program->initial.address;
    }
}

static struct place at_cfa(const struct program *program, int64_t factor) {
    return (struct place){.how = AT_CFA, .offset = factor * program->data_unit};
}

static void advance(struct program *program, uint64_t by) {
    program->at += by * program->code_unit;
}

/* Instructions that say where a register is. False: not one of them, or not simple. */
static bool run_register(struct program *program, uint8_t code, const uint8_t **p) {
    uint64_t of = number(p);
    switch (code) {
    case 0x05: /* offset_extended */
        return set_place(program, of, at_cfa(program, (int64_t)number(p)));
    case 0x06: /* restore_extended */
        restore(program, of);
        return true;
    case 0x07: /* undefined */
        return set_place(program, of, (struct place){.how = UNDEFINED});
    case 0x08: /* same_value */
        return set_place(program, of, (struct place){.how = SAME});
    case 0x09: /* register */
    case 0x14: /* val_offset */
        number(p);
        return set_place(program, of, (struct place){.how = OTHER});
    case 0x15: /* val_offset_sf */
        signed_number(p);
        return set_place(program, of, (struct place){.how = OTHER});
    case 0x11: /* offset_extended_sf */
        return set_place(program, of, at_cfa(program, signed_number(p)));
    case 0x10: { /* expression */
        struct place place = {.how = EXPRESSION, .expression = *p};
        skip_expression(p);
        return set_place(program, of, place);
    }
    case 0x16: /* val_expression */
        skip_expression(p);
        return set_place(program, of, (struct place){.how = OTHER});
    case 0x2f: /* GNU_negative_offset_extended */
        return set_place(program, of, at_cfa(program, -(int64_t)number(p)));
    default:
        return false;
    }
}

/* Instructions of the CFA. False: not one of them. */
static bool run_cfa(struct row *row, int64_t data_unit, uint8_t code, const uint8_t **p) {
    switch (code) {
    case 0x0c: /* def_cfa */
        row->cfa_register = number(p);
        row->cfa_offset = (int64_t)number(p);
        row->cfa_expression = NULL;
        return true;
    case 0x0d: /* def_cfa_register */
        row->cfa_register = number(p);
        row->cfa_expression = NULL;
        return true;
    case 0x0e: /* def_cfa_offset */
        row->cfa_offset = (int64_t)number(p);
        return true;
    case 0x0f: /* def_cfa_expression */
        row->cfa_expression = *p;
        skip_expression(p);
        return true;
    case 0x12: /* def_cfa_sf */
        row->cfa_register = number(p);
        row->cfa_offset = signed_number(p) * data_unit;
        row->cfa_expression = NULL;
        return true;
    case 0x13: /* def_cfa_offset_sf */
        row->cfa_offset = signed_number(p) * data_unit;
        return true;
    default:
        return false;
    }
}

/* The other instructions. False: not one of them, or not simple. */
static bool run_row(struct program *program, uint8_t code, const uint8_t **p) {
    switch (code) {
    case 0x00: /* nop */
        return true;
    case 0x02: /* advance_loc1, 2, 4 */
    case 0x03:
    case 0x04:
        advance(program, fixed(p, (size_t)1 << (code - 2)));
        return true;
    case 0x0a: /* remember_state */
        if (program->depth == REMEMBERED_MOST) {
            return false;
        }
        program->remembered[program->depth++] = program->row;
        return true;
    case 0x0b: /* restore_state */
        if (program->depth == 0) {
            return false;
        }
        program->row = program->remembered[--program->depth];
        return true;
#ifdef __aarch64__
    case 0x2d: /* negate_ra_state: who uses a return address strips its signature */
        return true;
#endif
    case 0x2e: /* GNU_args_size */
        number(p);
        return true;
    default:
        return run_cfa(&program->row, program->data_unit, code, p) || run_register(program, code, p);
    }
}

/* Runs [p, end) up to the call that returns to `until`. */
static bool run(struct program *program, const uint8_t *p, const uint8_t *end, uintptr_t until) {
    bool simple = true;
    while (simple && p < end && program->at < until) {
        uint8_t code = *p++;
        switch (code & 0xc0) {
        case 0x40: /* advance_loc */
            advance(program, code & 0x3f);
            break;
        case 0x80: /* offset */
            simple = set_place(program, code & 0x3f, at_cfa(program, (int64_t)number(&p)));
            break;
        case 0xc0: /* restore */
            restore(program, code & 0x3f);
            break;
        default:
            simple = run_row(program, code, &p);
        }
    }
    return simple;
}

/* Bytes of an address in this form; 0: it is of another kind. */
static size_t pointer_bytes(uint8_t form) {
    static const uint8_t bytes[16] = {
        [0x0] = 8, [0x2] = 2, [0x3] = 4, [0x4] = 8, [0xa] = 2, [0xb] = 4, [0xc] = 8};
    return form == 0x50 ? 0 : bytes[form & 0x0f];
}

/* Of what is added to the common part, as `letters` say. */
static bool read_added(struct program *program, const char *letters, const uint8_t *p) {
    for (; *letters != '\0'; letters++) {
        uint8_t form;
        switch (*letters) {
        case 'R':
            program->pointer_form = *p++;
            break;
        case 'L':
            p++;
            break;
        case 'P':
            form = *p++;
            if (pointer_bytes(form) == 0) {
                return false;
            }
            p += pointer_bytes(form);
            break;
        case 'B': /* the other key of signed return addresses */
            break;
        default: /* 'S', the frame of a signal, among them */
            return false;
        }
    }
    return true;
}

/* Reads and runs the part that many functions have in common. */
static bool run_common(struct program *program, const uint8_t *start, uintptr_t until) {
    const uint8_t *p = start;
    size_t length = fixed(&p, 4);
    const uint8_t *end = p + length;
    p += 4;
    uint8_t version = *p++;
    const char *letters = (const char *)p;
    p += strlen(letters) + 1;
    if (length == UINT32_MAX || (version != 1 && version != 3) || (letters[0] != 'z' && letters[0] != '\0')) {
        return false;
    }
    program->code_unit = number(&p);
    program->data_unit = signed_number(&p);
    uint64_t of = version == 1 ? *p++ : number(&p);
    if (of != RETURN) {
        return false;
    }
    program->has_length = letters[0] == 'z';
    if (program->has_length) {
        size_t added = number(&p);
        if (!read_added(program, letters + 1, p)) {
            return false;
        }
        p += added;
    }
    return run(program, p, end, until);
}

static bool run_function(struct program *program, const uint8_t *entry, uintptr_t until) {
    const uint8_t *p = entry;
    size_t length = fixed(&p, 4);
    const uint8_t *end = p + length;
    int32_t back = (int32_t)(uint32_t)fixed(&p, 4);
    if (length == UINT32_MAX || !run_common(program, entry + 4 - back, until)) {
        return false;
    }
    size_t bytes = pointer_bytes(program->pointer_form);
    if (bytes == 0) {
        return false;
    }
    program->initial = program->row;
    p += 2 * bytes; /* where the function starts, and how long it is */
    if (program->has_length) {
        size_t added = number(&p);
        p += added;
    }
    return run(program, p, end, until);
}

/* ---- Rules ---- */

static const struct cb_rule slow = {.kind = CB_RULE_SLOW};

/* An expression: the frame pointer plus a number; with `follow`, the word that is there. */
static bool frame_plus(const uint8_t *p, bool follow, int64_t *offset) {
    uint64_t length = number(&p);
    const uint8_t *end = p + length;
    if (length < 2 || *p++ != 0x70 + FRAME) {
        return false;
    }
    *offset = signed_number(&p);
    return follow ? p + 1 == end && *p == 0x06 : p == end;
}

/* In words, where that is possible. */
static bool set_words(int16_t *words, int64_t offset) {
    *words = (int16_t)(offset / 8);
    return offset % 8 == 0 && offset / 8 == *words;
}

static struct cb_rule rule_of(const struct row *row) {
    struct cb_rule rule = {.saved = row->frame.how != SAME};
    int64_t cfa = row->cfa_offset, frame = row->frame.offset;
    bool simple = row->frame.how == SAME || row->frame.how == AT_CFA;
    if (row->address.how == UNDEFINED) {
        return (struct cb_rule){.kind = CB_RULE_LAST};
    }
    if (row->cfa_expression != NULL) {
        rule.kind = CB_RULE_ALIGNED;
        simple = row->frame.how == EXPRESSION && frame_plus(row->cfa_expression, true, &cfa) &&
                 frame_plus(row->frame.expression, false, &frame);
    } else if (row->cfa_register == FRAME || row->cfa_register == STACK) {
        rule.kind = row->cfa_register == FRAME ? CB_RULE_FRAME : CB_RULE_STACK;
    }
    simple = simple && row->address.how == AT_CFA && set_words(&rule.cfa, cfa) &&
             set_words(&rule.frame, frame) && set_words(&rule.address, row->address.offset);
    return simple ? rule : slow;
}

/* Of code without a table: where a handler of a signal returns to, libgcc knows how to go on. */
static struct cb_rule rule_without_table(uintptr_t pc) {
#if defined(__x86_64__)
    static const uint8_t after_signal[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
#else
    static const uint8_t after_signal[] = {0x68, 0x11, 0x80, 0xd2, 0x01, 0, 0, 0xd4};
#endif
    bool known = cb_os_readable(pc) && cb_os_readable(pc + sizeof after_signal - 1) &&
                 memcmp((const void *)pc, after_signal, sizeof after_signal) == 0;
    return known ? slow : (struct cb_rule){.kind = CB_RULE_LAST};
}

static struct cb_rule find_rule(uintptr_t pc) {
    struct bases bases;
    const uint8_t *entry = _Unwind_Find_FDE((void *)(pc - 1), &bases);
    if (entry == NULL) {
        return rule_without_table(pc);
    }
    struct program program = {.at = (uintptr_t)bases.function};
    return run_function(&program, entry, pc) ? rule_of(&program.row) : slow;
}

struct entry {
    _Atomic uint64_t key, rule; /* relaxed: they are of use only together */
};

static struct entry entries[CB_RULES];
_Atomic uint64_t cb_generation;

void cb_frame_forget(void) {
    atomic_fetch_add_explicit(&cb_generation, 1, memory_order_relaxed);
}

static uint64_t mix(uint64_t word) {
    word *= 0x9e3779b97f4a7c15ULL;
    return word ^ word >> 29;
}

CB_NOINLINE static struct cb_rule learn(struct entry *entry, uintptr_t pc, uint64_t now) {
    struct cb_rule rule = find_rule(pc);
    uint64_t word;
    memcpy(&word, &rule, sizeof word);
    atomic_store_explicit(&entry->rule, word, memory_order_relaxed);
    atomic_store_explicit(&entry->key, pc ^ mix(word ^ now << 32), memory_order_relaxed);
    return rule;
}

struct cb_rule cb_frame_rule(uintptr_t pc) {
    struct entry *entry = &entries[mix(pc) % CB_RULES];
    uint64_t now = cb_frame_generation();
    uint64_t word = atomic_load_explicit(&entry->rule, memory_order_relaxed);
    if (CB_UNLIKELY(atomic_load_explicit(&entry->key, memory_order_relaxed) !=
                    (pc ^ mix(word ^ now << 32)))) {
        return learn(entry, pc, now);
    }
    struct cb_rule rule;
    memcpy(&rule, &word, sizeof rule);
    return rule;
}
