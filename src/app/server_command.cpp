#include "app/server_command.h"

#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "api/dispatcher.h"
#include "app/data_folder.h"
#include "app/workspace.h"
#include "base/format.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"

namespace lakeloop::app {
namespace {

constexpr auto kGrace = std::chrono::seconds(10);

struct Address {
  std::string host;
  std::uint16_t port = 0;
};

Address parse_listen(const std::string& listen) {
  const std::size_t colon = listen.rfind(':');
  const auto port = colon == std::string::npos
                        ? std::nullopt
                        : parse_number<std::uint16_t>(std::string_view(listen).substr(colon + 1));
  if (!port || colon == 0) {
    throw Error(ErrorCode::kInvalidArgument, "--listen must be HOST:PORT, as 127.0.0.1:8787; got \"{}\"", listen);
  }
  std::string host = listen.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return {std::move(host), *port};
}

std::filesystem::path worker_path(const ServerArguments& arguments) {
  if (!arguments.worker.empty()) return std::filesystem::absolute(arguments.worker);
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "lakeloop-llm";
}

// The administrator's token, made at the first start. Mode 0600; never printed.
void ensure_admin_token(Workspace& workspace, const DataFolder& folder) {
  const std::filesystem::path file = folder / kTokenFile;
  if (std::filesystem::exists(file)) {
    struct stat about{};
    if (stat(file.c_str(), &about) == 0 && (about.st_mode & 077) != 0) {
      throw Error(ErrorCode::kPermissionDenied, "{} can be read by others: run chmod 600 on it", file.string());
    }
    return;
  }
  const identity::NewToken made =
      workspace.identity().create_token(kAdminName, "made at the first start", std::nullopt);
  write_file_atomic(file, made.token + "\n", 0600);
}

// Signals are waited for by the main thread; every other thread inherits the block.
sigset_t block_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return set;
}

bool loopback(std::string_view host) {
  return host.starts_with("127.") || host == "::1" || host == "localhost";
}

}  // namespace

int run_server(const ServerArguments& arguments) {
  const sigset_t signals = block_signals();
  try {
    const Address address = parse_listen(arguments.listen);
    const DataFolder folder(arguments.data);
    std::filesystem::create_directories(folder / "logs");
    std::string base_url = lakeloop::format(
        "http://{}:{}", address.host.contains(':') ? "[" + address.host + "]" : address.host, address.port);
    Workspace workspace(folder, {.worker = worker_path(arguments),
                                 .allow_private_upstreams = arguments.allow_private_upstreams,
                                 .model_threads = arguments.model_threads});
    ensure_admin_token(workspace, folder);
    const api::Dispatcher dispatcher(workspace.identity(), workspace.routes(base_url));
    net::Server server({.host = address.host,
                        .port = address.port,
                        .handler_threads = limits::kHandlerThreads,
                        .handler_queue = limits::kHandlerQueue},
                       const_cast<api::Dispatcher&>(dispatcher).handler());
    base_url = base_url.substr(0, base_url.rfind(':')) + lakeloop::format(":{}", server.port());
    if (!loopback(address.host)) {
      log_warning("listening_beyond_loopback",
                  {{"address", address.host}, {"note", "every request needs a token; put TLS in front of it"}});
    }
    write_file_atomic(folder / kServerFile, Json::object({{"url", base_url}, {"pid", getpid()}}).dump() + "\n");
    log_info("server_ready", {{"url", base_url}, {"data", folder.root().string()}, {"version", LAKELOOP_VERSION}});
    std::fprintf(stderr, "lakeloop %s serves %s\n  data   %s\n  token  %s\n", LAKELOOP_VERSION, base_url.c_str(),
                 folder.root().c_str(), (folder / kTokenFile).c_str());

    int signal_number = 0;
    do {
      sigwait(&signals, &signal_number);
    } while (signal_number == SIGHUP);
    log_info("server_stopping", {{"signal", signal_number}});
    server.stop(kGrace);
    workspace.stop();
    std::error_code ignored;
    std::filesystem::remove(folder / kServerFile, ignored);
    log_info("server_stopped");
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "lakeloop: %s\n", error.what());
    return 1;
  }
}

}  // namespace lakeloop::app
