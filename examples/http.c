/*
 * A small HTTP server: one thread, up to 64 connections, an arena for each.
 *
 *     http [PORT [REQUESTS]]       on 127.0.0.1; port 0: any; the port is printed; ends after so many requests
 *
 * GET / is answered with the headers that the client sent. A client that does not read its answers is hung up.
 * It shows an arena for each connection. The bytes received are the block on top, which grows; the answer to a request
 * is made in a scope; who hangs up leaves a cleared arena. So no client takes more memory than it was given.
 *
 * Exit status: 0; 1: a system call failed; 2: wrong arguments.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <cutback_util.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 64, MEMORY = 16384, PIECE = 1024, LARGEST = 6144 };

struct connection {
    cutback_arena arena;
    cutback_slot ring[8];
    unsigned char memory[MEMORY];
    char *request; /* `received` bytes and a 0, of `room` */
    size_t received, room;
};

static struct connection connections[CONNECTIONS];
static long requests; /* still to be answered; below 0: without end */

/* The lines from this one to the empty one, with ends of one byte; NULL if they do not fit. */
static char *copy_headers(cutback_arena *arena, const char *line, bool *close_wanted) {
    char *copy = cutback_array(arena, char, (size_t)(strstr(line - 2, "\r\n\r\n") + 3 - line));
    char *to = copy;
    for (const char *end = strstr(line, "\r\n"); copy != NULL && end != line; end = strstr(line, "\r\n")) {
        if (strncasecmp(line, "connection:", 11) == 0)
            *close_wanted |= strncasecmp(line + 11 + strspn(line + 11, " \t"), "close\r", 6) == 0;
        while (line != end)
            *to++ = *line++;
        *to++ = '\n';
        line += 2;
    }
    if (copy != NULL)
        *to = 0;
    return copy;
}

/* Answers a request, which is complete or too long. False: the connection is to end. */
static bool answer(struct connection *c, int socket, bool complete) {
    cutback_mark mark = cutback_mark_set(&c->arena);
    bool get = complete && strncmp(c->request, "GET /", 5) == 0;
    const char *path = get ? c->request + 4 : "";
    const char *version = path + strcspn(path, " \r\n");
    bool last = strncmp(version, " HTTP/1.1\r", 10) != 0;
    const char *status = "431 Request Header Fields Too Large";
    if (complete)
        status = !get ? "501 Not Implemented" : version == path + 1 ? "200 OK" : "404 Not Found";
    const char *body = get ? copy_headers(&c->arena, strstr(version, "\r\n") + 2, &last) : "";
    if (body != NULL && *status != '2')
        body = "";
    const char *text = NULL;
    if (body != NULL)
        text = cutback_printf(&c->arena,
                              "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n%s\r\n%s",
                              status, strlen(body), last ? "Connection: close\r\n" : "", body);
    size_t size = text != NULL ? strlen(text) : 0;
    bool sent = text != NULL && send(socket, text, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size;
    cutback_reset(&c->arena, mark); /* the request is on top again */
    requests -= sent && requests > 0;
    return sent && !last;
}

/* Receives, and answers what is complete. False: the connection is to end. */
static bool receive(struct connection *c, int socket) {
    if (c->received == c->room - 1) { /* grows in place */
        c->request = cutback_resize(&c->arena, char, c->request, c->room, c->room + PIECE);
        c->room += PIECE;
        if (c->request == NULL)
            return false;
    }
    ssize_t got = recv(socket, c->request + c->received, c->room - 1 - c->received, 0);
    if (got <= 0)
        return false;
    c->received += (size_t)got;
    c->request[c->received] = 0;
    for (char *end = strstr(c->request, "\r\n\r\n"); end != NULL; end = strstr(c->request, "\r\n\r\n")) {
        if (!answer(c, socket, true))
            return false;
        c->received -= (size_t)(end + 4 - c->request);
        memmove(c->request, end + 4, c->received + 1);
    }
    return c->received < LARGEST - 1 || answer(c, socket, false);
}

/* Its value; -1 if it is no number. */
static long number_of(const char *text) {
    char *end = NULL;
    long number = strtol(text, &end, 10);
    return end != text && *end == 0 && number >= 0 ? number : -1;
}

int main(int argc, char **argv) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof at;
    long port = argc > 1 ? number_of(argv[1]) : 8080;
    requests = argc > 2 ? number_of(argv[2]) : -1;
    if (argc > 3 || port < 0 || port > 65535 || (argc > 2 && requests < 1)) {
        (void)fputs("usage: http [PORT [REQUESTS]]\n", stderr);
        return 2;
    }
    at.sin_port = htons((uint16_t)port);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listener, (struct sockaddr *)&at, size) != 0 || listen(listener, CONNECTIONS) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &size) != 0) {
        perror("http: cannot listen");
        return 1;
    }
    printf("http://127.0.0.1:%d/\n", ntohs(at.sin_port));
    (void)fflush(stdout);
    struct pollfd polled[CONNECTIONS + 1] = {{.fd = listener, .events = POLLIN}};
    for (int i = 0; i < CONNECTIONS; i++) {
        cutback_init(&connections[i].arena, connections[i].memory, MEMORY, connections[i].ring, 8);
        polled[i + 1] = (struct pollfd){.fd = -1, .events = POLLIN};
    }
    while (requests != 0 && poll(polled, CONNECTIONS + 1, -1) > 0) {
        int fresh = polled[0].revents != 0 ? accept(listener, NULL, NULL) : -1;
        for (int i = 0; i < CONNECTIONS && requests != 0; i++) {
            struct connection *c = &connections[i];
            int *socket = &polled[i + 1].fd;
            if (*socket >= 0 && polled[i + 1].revents != 0 && !receive(c, *socket)) {
                close(*socket);
                *socket = -1;
                cutback_clear(&c->arena);
            } else if (*socket < 0 && fresh >= 0) {
                c->received = 0;
                c->room = PIECE;
                c->request = cutback_array(&c->arena, char, c->room);
                *socket = fresh;
                fresh = -1;
            }
        }
        if (fresh >= 0)
            close(fresh); /* all are in use */
    }
    if (requests != 0)
        perror("http: poll");
    return requests == 0 ? 0 : 1;
}
