// sd_notify(3) without libsystemd: one datagram to the socket that NOTIFY_SOCKET names, with a descriptor beside it if need be.
// Sent by this process itself, so that its credentials are those of the service's main process.
#include "notify.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>

#include "arguments.h"

namespace vpnd::face {

namespace {

constexpr uint32_t kMaxFd = 1 << 30;
constexpr size_t kMaxMessage = 4096;

struct SocketAddress {
  sockaddr_un address{};
  socklen_t size = 0;
};

// A path, or "@name" of the abstract namespace; nothing for what does not fit.
std::optional<SocketAddress> unix_address(const std::string& path) {
  SocketAddress out;
  const bool abstract = !path.empty() && path[0] == '@';
  if (path.size() < 2 || (!abstract && path[0] != '/') || path.size() >= sizeof out.address.sun_path) return std::nullopt;
  out.address.sun_family = AF_UNIX;
  memcpy(out.address.sun_path, path.data(), path.size());
  if (abstract) out.address.sun_path[0] = 0;
  out.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1));
  return out;
}

// 0 or an error number. Waits no longer than a service manager may be busy: the caller is the event loop.
int send_message(const SocketAddress& to, std::string& text, int fd) {
  const int socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket_fd < 0) return errno;
  const timeval patience{1, 0};
  setsockopt(socket_fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  iovec data{text.data(), text.size()};
  msghdr message{};
  sockaddr_un address = to.address;
  message.msg_name = &address;
  message.msg_namelen = to.size;
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  ssize_t sent;
  do {
    sent = sendmsg(socket_fd, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  const int error = sent < 0 ? errno : 0;
  close(socket_fd);
  return error;
}

// notify(socketPath, message, fd?)
void notify(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto path = read_text(env, info[0], "socketPath", 4095);
  if (!path) return;
  auto text = read_text(env, info[1], "message", kMaxMessage);
  if (!text) return;
  int fd = -1;
  if (!info[2].IsUndefined()) {
    const auto given = read_number(env, info[2], "fd", 0, kMaxFd);
    if (!given) return;
    fd = static_cast<int>(*given);
  }
  const auto address = unix_address(*path);
  if (!address) {
    throw_type_error(env, "socketPath must be an absolute path or @name that fits a socket address");
    return;
  }
  if (const int error = send_message(*address, *text, fd)) throw_system_error(env, error, "sendmsg", *path);
}

// openDatagramSocket(path) -> fd of a non-blocking Unix datagram socket bound there: Node has none of its own
Napi::Value open_datagram_socket(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto path = read_text(env, info[0], "path", 4095);
  if (!path) return {};
  const auto address = unix_address(*path);
  if (!address) {
    throw_type_error(env, "path must be an absolute path or @name that fits a socket address");
    return {};
  }
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || bind(fd, reinterpret_cast<const sockaddr*>(&address->address), address->size) != 0) {
    const int error = errno;
    if (fd >= 0) close(fd);
    throw_system_error(env, error, "bind", *path);
    return {};
  }
  return Napi::Number::New(env, fd);
}

// receiveDatagram(fd) -> { text, fd } of the next datagram, fd only when one came with it; undefined when there is none
Napi::Value receive_datagram(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto from = read_number(env, info[0], "fd", 0, kMaxFd);
  if (!from) return {};
  char text[kMaxMessage];
  iovec data{text, sizeof text};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t size = recvmsg(static_cast<int>(*from), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (size < 0) {
    if (errno != EAGAIN) throw_system_error(env, errno, "recvmsg");
    return env.Undefined();
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("text", Napi::String::New(env, text, static_cast<size_t>(size)));
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
    int fd;
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    out.Set("fd", fd);
  }
  return out;
}

}  // namespace

void export_notify(Napi::Env env, Napi::Object exports) {
  exports.Set("notify", Napi::Function::New<notify>(env, "notify"));
  exports.Set("openDatagramSocket", Napi::Function::New<open_datagram_socket>(env, "openDatagramSocket"));
  exports.Set("receiveDatagram", Napi::Function::New<receive_datagram>(env, "receiveDatagram"));
}

}  // namespace vpnd::face
