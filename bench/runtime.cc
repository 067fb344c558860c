#include "runtime.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

extern char **environ;

namespace bench {
namespace {

std::string beside_this_program(const std::string &program) {
  char self[4096];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self);
  std::string path(self, n > 0 ? static_cast<size_t>(n) : 0);
  return path.substr(0, path.rfind('/') + 1) + program;
}

// Its process id, or -1. Its standard output goes to out.
pid_t start(const std::string &program, const std::vector<std::string> &arguments, int out,
            bool quiet) {
  std::string path = beside_this_program(program);
  std::vector<char *> argv{path.data()};
  std::vector<std::string> copies(arguments);
  for (std::string &argument : copies) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  if (quiet) posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = -1;
  int r = posix_spawn(&pid, path.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return r == 0 ? pid : -1;
}

bool ended_well(pid_t pid) {
  int status = 0;
  return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
         WEXITSTATUS(status) == 0;
}

} // namespace

std::string child(const std::string &program, const std::vector<std::string> &arguments,
                  bool quiet) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return "";
  pid_t pid = start(program, arguments, fds[1], quiet);
  close(fds[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = read(fds[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(n));
  close(fds[0]);
  return ended_well(pid) ? text : "";
}

double child_seconds(const std::string &program, const std::vector<std::string> &arguments) {
  int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  auto begin = std::chrono::steady_clock::now();
  bool well = ended_well(start(program, arguments, null, false));
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  close(null);
  return well ? took.count() : -1;
}

double figure(const std::string &text, const std::string &key) {
  size_t at = text.find(key + "=");
  return at == std::string::npos ? 0 : std::strtod(text.c_str() + at + key.size() + 1, nullptr);
}

} // namespace bench
