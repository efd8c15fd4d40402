#include "system.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "aead.h"
#include "arguments.h"
#include "tun.h"
#include "udp.h"

namespace vpnd::face {

namespace {

constexpr uint32_t kMaxFd = 1 << 30;

// openTun({ name, tap, plain, multiQueue }) -> { fd, name }
Napi::Value open_tun_device(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto options = read_object(env, info[0], "options");
  if (!options) return {};
  const auto name = read_text(env, options->Get("name"), "name", 15);
  const auto tap = read_bool(env, options->Get("tap"), "tap");
  const auto queues = read_bool(env, options->Get("multiQueue"), "multiQueue");
  const auto plain = read_bool(env, options->Get("plain"), "plain");
  if (!name || !tap || !queues || !plain) return {};
  TunDevice device;
  if (const int error = open_tun({.name = *name, .tap = *tap, .plain = *plain, .multi_queue = *queues}, device)) {
    throw_system_error(env, error, "open_tun", *name);
    return {};
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("fd", device.fd);
  out.Set("name", device.name);
  return out;
}

// makeSocket({ family, kind, port, address, mark, shared }) -> { fd, port }
Napi::Value make_bound_socket(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto options = read_object(env, info[0], "options");
  if (!options) return {};
  const auto family = read_number(env, options->Get("family"), "family", 4, 6);
  const auto kind = read_text(env, options->Get("kind"), "kind", 3);
  const auto port = read_number(env, options->Get("port"), "port", 0, 65535);
  const auto address = read_text(env, options->Get("address"), "address", 64);
  const auto mark = read_number(env, options->Get("mark"), "mark", 0, UINT32_MAX);
  const auto shared = read_bool(env, options->Get("shared"), "shared");
  if (!family || !kind || !port || !address || !mark || !shared) return {};
  if (*kind != "udp" && *kind != "tcp") {
    throw_type_error(env, "kind must be \"udp\" or \"tcp\"");
    return {};
  }
  const SocketRequest request{static_cast<int>(*family), *kind == "tcp", static_cast<uint16_t>(*port), *address, *mark, *shared};
  int fd = -1;
  uint16_t bound = 0;
  if (const int error = make_socket(request, fd, bound)) {
    throw_system_error(env, error, "make_socket", *address);
    return {};
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("fd", fd);
  out.Set("port", static_cast<uint32_t>(bound));
  return out;
}

void close_fd(const Napi::CallbackInfo& info) {
  const auto fd = read_number(info.Env(), info[0], "fd", 0, kMaxFd);
  if (fd && close(static_cast<int>(*fd)) != 0) throw_system_error(info.Env(), errno, "close");
}

// socketPort(fd) -> local port
Napi::Value socket_port(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto fd = read_number(env, info[0], "fd", 0, kMaxFd);
  if (!fd) return {};
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(static_cast<int>(*fd), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw_system_error(env, errno, "getsockname");
    return {};
  }
  return Napi::Number::New(env, Endpoint::from(reinterpret_cast<const sockaddr*>(&address)).port);
}

// lockFile(path) -> fd, or undefined when another process holds the lock. Closing the descriptor releases it.
Napi::Value lock_file(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto path = read_text(env, info[0], "path", 4095);
  if (!path) return {};
  int fd = open(path->c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  // A disk that became read-only must not keep vpnd --cleanup from its work.
  if (fd < 0 && errno == EROFS) fd = open(path->c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) {
    throw_system_error(env, errno, "open", *path);
    return {};
  }
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return Napi::Number::New(env, fd);
  const int error = errno;
  close(fd);
  if (error != EWOULDBLOCK) throw_system_error(env, error, "flock", *path);
  return env.Undefined();
}

// peerCredentials(fd) -> { pid, uid, gid } of the process that connected a Unix socket
Napi::Value peer_credentials(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto fd = read_number(env, info[0], "fd", 0, kMaxFd);
  if (!fd) return {};
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (getsockopt(static_cast<int>(*fd), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    throw_system_error(env, errno, "getsockopt");
    return {};
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("pid", static_cast<double>(credentials.pid));
  out.Set("uid", static_cast<double>(credentials.uid));
  out.Set("gid", static_cast<double>(credentials.gid));
  return out;
}

// peerGroups(fd) -> supplementary groups of the process that connected a Unix socket, as they were then
Napi::Value peer_groups(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto fd = read_number(env, info[0], "fd", 0, kMaxFd);
  if (!fd) return {};
  std::vector<gid_t> groups(64);
  socklen_t size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  int failed = getsockopt(static_cast<int>(*fd), SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
  if (failed != 0 && errno == ERANGE) {
    // The kernel has said how much room it wants.
    groups.resize(size / sizeof(gid_t));
    failed = getsockopt(static_cast<int>(*fd), SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
  }
  if (failed != 0) {
    throw_system_error(env, errno, "getsockopt");
    return {};
  }
  groups.resize(size / sizeof(gid_t));
  Napi::Array out = Napi::Array::New(env);
  for (const gid_t group : groups) out.Set(out.Length(), static_cast<double>(group));
  return out;
}

// hungUp(fd) -> whether the other end of a Unix socket has closed, also when there is still something to read
Napi::Value hung_up(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto fd = read_number(env, info[0], "fd", 0, kMaxFd);
  if (!fd) return {};
  pollfd state{.fd = static_cast<int>(*fd), .events = 0, .revents = 0};
  // Though it does not wait, a signal that has just come, such as a child's end, may take the answer's place.
  int answered;
  do {
    answered = poll(&state, 1, 0);
  } while (answered < 0 && errno == EINTR);
  if (answered < 0 || (state.revents & POLLNVAL) != 0) {
    throw_system_error(env, (state.revents & POLLNVAL) != 0 ? EBADF : errno, "poll");
    return {};
  }
  return Napi::Boolean::New(env, (state.revents & POLLHUP) != 0);
}

// ciphers() -> names of the data ciphers, this machine's best first
Napi::Value ciphers(const Napi::CallbackInfo& info) {
  Napi::Array out = Napi::Array::New(info.Env());
  for (const Cipher cipher : cipher_preference()) out.Set(out.Length(), std::string(cipher_name(cipher)));
  return out;
}

// chooseCrypto("auto" | "ipsec-mb" | "openssl") -> who protects records; throws an Error when it cannot be had
Napi::Value choose_record_crypto(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string choice = info[0].IsString() ? info[0].As<Napi::String>().Utf8Value() : "";
  Crypto crypto;
  if (choice == "auto") {
    crypto = Crypto::automatic;
  } else if (choice == "ipsec-mb") {
    crypto = Crypto::ipsec_mb;
  } else if (choice == "openssl") {
    crypto = Crypto::openssl;
  } else {
    throw_type_error(env, "crypto must be auto, ipsec-mb or openssl");
    return {};
  }
  const std::string fault = choose_crypto(crypto);
  if (!fault.empty()) {
    Napi::Error::New(env, fault).ThrowAsJavaScriptException();
    return {};
  }
  return Napi::String::New(env, aead_implementation());
}

}  // namespace

void export_system(Napi::Env env, Napi::Object exports) {
  exports.Set("openTun", Napi::Function::New<open_tun_device>(env, "openTun"));
  exports.Set("makeSocket", Napi::Function::New<make_bound_socket>(env, "makeSocket"));
  exports.Set("closeFd", Napi::Function::New<close_fd>(env, "closeFd"));
  exports.Set("socketPort", Napi::Function::New<socket_port>(env, "socketPort"));
  exports.Set("lockFile", Napi::Function::New<lock_file>(env, "lockFile"));
  exports.Set("peerCredentials", Napi::Function::New<peer_credentials>(env, "peerCredentials"));
  exports.Set("peerGroups", Napi::Function::New<peer_groups>(env, "peerGroups"));
  exports.Set("hungUp", Napi::Function::New<hung_up>(env, "hungUp"));
  exports.Set("ciphers", Napi::Function::New<ciphers>(env, "ciphers"));
  exports.Set("chooseCrypto", Napi::Function::New<choose_record_crypto>(env, "chooseCrypto"));
}

}  // namespace vpnd::face
