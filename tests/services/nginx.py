"""nginx, two workers and a thread pool: 10,000 requests of ab for small files, large ones, and compressed ones."""
import signal

import network

NEEDS = ["nginx", "ab"]
CONFIGURATION = """
daemon off; worker_processes 2; pid {folder}/pid; error_log {folder}/error.log;
thread_pool default threads=2;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    gzip on; gzip_types *; gzip_min_length 100;
    server {{ listen 127.0.0.1:{port}; root {folder}/files; location = /large {{ aio threads; }} }}
}}
"""


def work(run):
    run.version = "nginx " + run.output("sh", "-c", "nginx -v 2>&1").strip().split("/")[1]
    port = network.free_port()
    (run.folder / "files").mkdir()
    (run.folder / "files" / "small").write_text("".join(f"{i}\n" for i in range(2000)))
    (run.folder / "files" / "large").write_text("".join(f"{i}\n" for i in range(200000)))
    (run.folder / "nginx.conf").write_text(CONFIGURATION.format(folder=run.folder, port=port))
    server = run.start("nginx", "-e", run.folder / "error.log", "-c", run.folder / "nginx.conf", "-p", run.folder)
    run.watch(server)
    run.until("starting", server, lambda: network.listens(port))
    for path, count, more in (("small", 7000, ["-k"]), ("small", 2000, ["-H", "Accept-Encoding: gzip"]), ("large", 800, ["-k"]),
                              ("none", 200, [])):
        said = run.output("ab", "-q", "-n", count, "-c", 32, *more, f"http://127.0.0.1:{port}/{path}")
        run.say("\n".join(line for line in said.splitlines()
                          if line.startswith(("Document Length", "Complete requests", "Failed requests", "Non-2xx"))))
    run.say(sum(network.page(port, "large")))
    run.rest()
    run.stop(server, signal.SIGQUIT)
    if "exited on signal" in (run.folder / "error.log").read_text():
        run.fail("a worker died")
