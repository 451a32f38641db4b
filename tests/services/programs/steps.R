# Vectors, sorting, matrices and linear models, data frames, strings and regular expressions. Each line of input is a step.
steps <- list(
  vectors = function() {
    set.seed(1)
    x <- lapply(1:3000, function(i) runif(1 + i %% 2000))
    kept <- unlist(lapply(seq(1, 3000, 3), function(i) sum(sort(x[[i]]))))
    sprintf("%.10f %d", sum(kept), length(unlist(x)))
  },
  matrices = function() {
    set.seed(2)
    m <- matrix(rnorm(250000), 500)
    s <- crossprod(m) / 500 + diag(500)
    sprintf("%.6f %.6f", sum(solve(s, m[1, ])), sum(svd(s[1:200, 1:200])$d))
  },
  frames = function() {
    set.seed(3)
    d <- data.frame(id = 1:40000, group = sample(letters, 40000, TRUE), x = rnorm(40000), y = runif(40000))
    a <- aggregate(cbind(x, y) ~ group, d, mean)
    f <- lm(x ~ y + group, merge(d, a, by = "group", suffixes = c("", ".mean")))
    sprintf("%.8f %.8f %d", sum(a$x), sum(coef(f)), nrow(d[order(d$group, d$x), ]))
  },
  strings = function() {
    w <- paste0(letters[1 + (1:60000 * 7919) %% 26], "word", 1:60000 %% 977, "-", 1:60000)
    t <- table(substr(gsub("[aeiou]([0-9])", "<\\1>", w), 1, 3))
    sprintf("%d %s %d", length(t), paste(names(t)[t == max(t)], collapse = ","), sum(nchar(toupper(rev(w)))))
  },
  rest = function() {
    for (i in 1:3) gc()
    "collected"
  }
)
input <- file("stdin", "r")
while (length(step <- readLines(input, 1)) > 0) {
  cat(steps[[step]](), "\n", sep = "")
  flush(stdout())
}
