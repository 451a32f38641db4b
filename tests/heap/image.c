/*
 * A library that is never loaded, only looked at: see test_vdso.c.
 *
 * Layer:     tests.
 */
int image_missing(void);
int image_first(void);
int image_second(int n);
int image_last(void);

int image_data = 1;

int image_first(void) {
    return 1;
}

int image_second(int n) {
    return n + image_data;
}

int image_last(void) {
    return image_missing();
}
