;; Buffers, regular expressions, hash tables, byte compilation and font locking. Each line of input is a step.
(require 'bytecomp)
(require 'cl-lib)

(defun lines (count)
  (let ((state 1))
    (dotimes (i count)
      (setq state (% (+ (* state 1103515245) 12345) 2147483648))
      (insert (format "%d word%d (%s) [%x]\n" i (% state 977) (make-string (% (/ state 256) 60) (+ 97 (% i 26))) state)))))

(defun edit ()
  (with-temp-buffer
    (lines 20000)
    (goto-char (point-min))
    (while (re-search-forward "word\\([0-9]+\\) (\\([a-m]+\\))" nil t)
      (replace-match "\\2-\\1"))
    (sort-regexp-fields nil "^.*$" "\\[[0-9a-f]+\\]" (point-min) (/ (point-max) 4))
    (dotimes (i 2000)
      (goto-char (1+ (% (* i 7919) (point-max))))
      (insert (make-string (% i 50) ?x))
      (delete-char (min 10 (- (point-max) (point)))))
    (md5 (current-buffer))))

(defun tables ()
  (let ((table (make-hash-table :test 'equal)) (all nil))
    (dotimes (i 60000)
      (push i (gethash (format "key %d" (% (* i 7919) 5003)) table)))
    (maphash (lambda (key value) (push (cons key (apply #'+ value)) all)) table)
    (md5 (prin1-to-string (cl-sort all #'string< :key #'car)))))

(defun compile-library ()
  (let ((source (locate-library "simple.el.gz")) (compiled (expand-file-name "simple.elc")))
    (with-temp-file "simple.el" (insert-file-contents source))
    (let ((byte-compile-warnings nil) (inhibit-message t)) (byte-compile-file "simple.el"))
    (with-temp-buffer
      (insert-file-contents-literally compiled)
      (format "%d" (buffer-size)))))

(defun fontify ()
  (with-temp-buffer
    (insert-file-contents (locate-library "subr.el.gz"))
    (emacs-lisp-mode)
    (font-lock-ensure)
    (let ((changes 0) (at (point-min)))
      (while (setq at (next-single-property-change at 'face))
        (cl-incf changes))
      (format "%d" changes))))

(let (step)
  (while (setq step (ignore-errors (read-from-minibuffer "")))
    (princ (format "%s\n" (pcase step
                            ("edit" (edit))
                            ("tables" (tables))
                            ("compile" (compile-library))
                            ("fontify" (fontify))
                            ("rest" (garbage-collect) "collected"))))))
