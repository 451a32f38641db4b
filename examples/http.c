/*
 * A small HTTP server: one thread, up to 64 connections, an arena for each.
 *
 *     http [PORT [REQUESTS]]       on 127.0.0.1; port 0: any; the port is printed; ends after so many requests
 *
 * GET / is answered with the headers that the client sent.
 *
 * It shows an arena for each connection. The request is read into the block on top, which grows. When it is complete, a
 * scope is opened for what is parsed and for the answer; it is reset when the last byte has been sent. Who hangs up
 * leaves a cleared arena. So no client takes more memory than it was given, and nothing can leak.
 *
 * Exit status: 0; 1: a system call failed; 2: wrong arguments.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <cutback.h>
#include <poll.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 64, MEMORY = 16384, PIECE = 1024, LARGEST = 6144 };

struct connection {
    int socket; /* -1: not in use */
    cutback_arena arena;
    cutback_slot ring[8];
    unsigned char memory[MEMORY];
    char *request; /* `received` bytes and a 0, of `room` */
    size_t received, room;
    size_t length; /* of the request that is answered: more may have been received */
    cutback_mark mark;
    char *answer; /* `sent` of its `size` bytes are sent; NULL: still reading */
    size_t size, sent;
    bool last; /* hang up after this answer */
};

struct header {
    const char *name, *value;
    struct header *next;
};

static struct connection connections[CONNECTIONS];

static void hang_up(struct connection *c) {
    close(c->socket);
    c->socket = -1;
    c->answer = NULL;
    cutback_clear(&c->arena);
}

/* The headers from `line` on, cut into names and values where they stand. */
static const struct header *parse_headers(cutback_arena *arena, char *line) {
    struct header *first = NULL;
    struct header **link = &first;
    for (char *end = strstr(line, "\r\n"); end != NULL && end != line; end = strstr(line, "\r\n")) {
        char *colon = memchr(line, ':', (size_t)(end - line));
        *end = 0;
        if (colon != NULL && (*link = cutback_alloc(arena, sizeof **link, alignof(struct header))) != NULL) {
            *colon = 0;
            **link = (struct header){line, colon + 1 + strspn(colon + 1, " \t"), NULL};
            link = &(*link)->next;
        }
        line = end + 2;
    }
    return first;
}

/* Begins to answer the complete request, or one that is too long, with the status. */
static void answer(struct connection *c, const char *status) {
    size_t length = 0;
    c->mark = cutback_mark_set(&c->arena);
    char *line_end = c->request + strcspn(c->request, "\r\n");
    const struct header *first = status == NULL ? parse_headers(&c->arena, line_end + 2) : NULL;
    bool get = strncmp(c->request, "GET /", 5) == 0;
    *line_end = 0;
    c->last = status != NULL || !get || strstr(c->request, " HTTP/1.1") == NULL;
    if (status == NULL)
        status = !get ? "501 Not Implemented" : c->request[5] == ' ' ? "200 OK" : "404 Not Found";
    for (const struct header *h = first; h != NULL; h = h->next) {
        c->last |= strcasecmp(h->name, "connection") == 0 && strcasecmp(h->value, "close") == 0;
        length += strlen(h->name) + strlen(h->value) + 3;
    }
    length = *status == '2' ? length : 0;
    size_t room = 128 + length;
    c->answer = cutback_alloc(&c->arena, room, 1);
    if (c->answer == NULL) { /* it had very many headers */
        hang_up(c);
        return;
    }
    c->sent = 0;
    c->size = (size_t)snprintf(c->answer, room,
                               "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n%s\r\n",
                               status, length, c->last ? "Connection: close\r\n" : "");
    for (const struct header *h = length != 0 ? first : NULL; h != NULL; h = h->next)
        c->size += (size_t)snprintf(c->answer + c->size, room - c->size, "%s: %s\n", h->name, h->value);
}

/* Answers if the request is complete. */
static void look(struct connection *c) {
    c->request[c->received] = 0;
    const char *end = strstr(c->request, "\r\n\r\n");
    c->length = end != NULL ? (size_t)(end + 4 - c->request) : c->received;
    if (end != NULL)
        answer(c, NULL);
    else if (c->room == LARGEST && c->received == c->room - 1)
        answer(c, "431 Request Header Fields Too Large");
}

static void receive(struct connection *c) {
    if (c->received == c->room - 1) { /* grows in place */
        c->request = cutback_realloc(&c->arena, c->request, c->room, c->room + PIECE, 1);
        c->room += PIECE;
    }
    ssize_t got = recv(c->socket, c->request + c->received, c->room - 1 - c->received, 0);
    if (got <= 0) {
        hang_up(c);
        return;
    }
    c->received += (size_t)got;
    look(c);
}

/* Returns whether the answer is complete. */
static bool transmit(struct connection *c) {
    ssize_t sent = send(c->socket, c->answer + c->sent, c->size - c->sent, MSG_NOSIGNAL);
    c->sent += sent > 0 ? (size_t)sent : 0;
    bool complete = c->sent == c->size;
    if (sent <= 0 || (complete && c->last)) {
        hang_up(c);
    } else if (complete) {
        cutback_reset(&c->arena, c->mark); /* the request is on top again */
        c->answer = NULL;
        c->received -= c->length;
        memmove(c->request, c->request + c->length, c->received);
        look(c);
    }
    return complete;
}

static void welcome(int socket) {
    for (struct connection *c = connections; c < connections + CONNECTIONS; c++)
        if (c->socket < 0) {
            c->socket = socket;
            c->received = 0;
            c->room = PIECE;
            c->request = cutback_alloc(&c->arena, c->room, 1);
            return;
        }
    close(socket); /* all are in use */
}

static int fail(const char *what) {
    perror(what);
    return 1;
}

int main(int argc, char **argv) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof at;
    long port = argc > 1 ? strtol(argv[1], NULL, 10) : 8080;
    long requests = argc > 2 ? strtol(argv[2], NULL, 10) : -1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (argc > 3 || port < 0 || port > 65535 || requests == 0) {
        (void)fputs("usage: http [PORT [REQUESTS]]\n", stderr);
        return 2;
    }
    at.sin_port = htons((uint16_t)port);
    if (bind(listener, (struct sockaddr *)&at, size) != 0 || listen(listener, CONNECTIONS) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &size) != 0)
        return fail("http: cannot listen");
    printf("http://127.0.0.1:%d/\n", ntohs(at.sin_port));
    (void)fflush(stdout);
    for (struct connection *c = connections; c < connections + CONNECTIONS; c++) {
        c->socket = -1;
        cutback_init(&c->arena, c->memory, sizeof c->memory, c->ring, 8);
    }
    while (requests != 0) {
        struct pollfd poll_set[CONNECTIONS + 1] = {{.fd = listener, .events = POLLIN}};
        for (int i = 0; i < CONNECTIONS; i++)
            poll_set[i + 1] = (struct pollfd){.fd = connections[i].socket,
                                              .events = connections[i].answer != NULL ? POLLOUT : POLLIN};
        if (poll(poll_set, CONNECTIONS + 1, -1) < 0)
            return fail("http: poll");
        for (int i = 0; i < CONNECTIONS && requests != 0; i++)
            if (poll_set[i + 1].revents != 0 && connections[i].answer == NULL)
                receive(&connections[i]);
            else if (poll_set[i + 1].revents != 0 && transmit(&connections[i]))
                requests -= requests > 0;
        int socket = poll_set[0].revents != 0 ? accept4(listener, NULL, NULL, SOCK_NONBLOCK) : -1;
        if (socket >= 0)
            welcome(socket);
    }
    return 0;
}
