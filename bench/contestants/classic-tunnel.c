// The classic tunnel program, as small as it can be: classic-tunnel DEVICE listen PORT | connect ADDRESS PORT.
// One loop waits for the device or the connection; each packet is one read, and two writes: its length, then the packet. No option of the
// socket is set. This is what bench tcp compares with; it speaks the format of docs/wire.md, "TCP link", without our own framing.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kLargest = 2000 };

static void fail(const char* what) {
  perror(what);
  exit(1);
}

static int open_device(const char* name) {
  const int fd = open("/dev/net/tun", O_RDWR);
  if (fd < 0) fail("/dev/net/tun");
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (ioctl(fd, TUNSETIFF, &request) < 0) fail(name);
  return fd;
}

static int connection(int argc, char** argv) {
  struct sockaddr_in at = {.sin_family = AF_INET};
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) fail("socket");
  if (strcmp(argv[2], "listen") == 0) {
    at.sin_port = htons((uint16_t)atoi(argv[3]));
    if (bind(fd, (struct sockaddr*)&at, sizeof at) < 0 || listen(fd, 1) < 0) fail("listen");
    const int accepted = accept(fd, NULL, NULL);
    if (accepted < 0) fail("accept");
    return accepted;
  }
  if (argc < 5 || inet_pton(AF_INET, argv[3], &at.sin_addr) != 1) fail("address");
  at.sin_port = htons((uint16_t)atoi(argv[4]));
  if (connect(fd, (struct sockaddr*)&at, sizeof at) < 0) fail("connect");
  return fd;
}

static void write_all(int fd, const void* bytes, size_t size) {
  if (write(fd, bytes, size) != (ssize_t)size) fail("write");
}

// A stream gives what it has; a packet is whole only after so many bytes.
static void read_all(int fd, uint8_t* to, size_t size) {
  while (size > 0) {
    const ssize_t got = read(fd, to, size);
    if (got <= 0) exit(got < 0);
    to += got;
    size -= (size_t)got;
  }
}

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const int device = open_device(argv[1]);
  const int peer = connection(argc, argv);
  const int most = device > peer ? device : peer;
  static uint8_t packet[kLargest];
  for (;;) {
    fd_set ready;
    FD_ZERO(&ready);
    FD_SET(device, &ready);
    FD_SET(peer, &ready);
    if (select(most + 1, &ready, NULL, NULL, NULL) < 0) {
      if (errno == EINTR) continue;
      fail("select");
    }
    uint16_t length;
    if (FD_ISSET(device, &ready)) {
      const ssize_t size = read(device, packet, sizeof packet);
      if (size < 0) fail("device");
      length = htons((uint16_t)size);
      write_all(peer, &length, sizeof length);
      write_all(peer, packet, (size_t)size);
    }
    if (FD_ISSET(peer, &ready)) {
      read_all(peer, (uint8_t*)&length, sizeof length);
      const size_t size = ntohs(length);
      if (size > kLargest) return 1;
      read_all(peer, packet, size);
      write_all(device, packet, size);
    }
  }
}
