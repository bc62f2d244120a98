#pragma once

// `lakeloop server`: runs a workspace until SIGTERM or SIGINT.

#include <cstdint>
#include <filesystem>
#include <string>

namespace lakeloop::app {

struct ServerArguments {
  std::filesystem::path data = "data";
  std::string listen = "127.0.0.1:8787";
  std::filesystem::path worker;  // empty: beside this program
  bool allow_private_upstreams = false;
  int model_threads = 1;
};

// The exit code. Messages for people go to standard error.
int run_server(const ServerArguments& arguments);

}  // namespace lakeloop::app
