/** An HTTP proxy that only knows CONNECT: PORT. */
import { createServer } from "node:http";
import { connect } from "node:net";

const server = createServer((_, response) => response.writeHead(405).end());
server.on("connect", (request, socket, head) => {
  const [, host = "", port = ""] = /^\[?([^\]]+?)\]?:(\d+)$/.exec(request.url ?? "") ?? [];
  const target = connect(Number(port), host, () => {
    socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
    target.write(head);
    target.pipe(socket).pipe(target);
  });
  target.on("error", () => socket.destroy());
  socket.on("error", () => target.destroy());
});
server.listen(Number(process.argv[2]));
