/* The websocket: tells listeners that something changed; reconnects by itself and asks for a full refresh when it does. */

export function live(person, onEvent, onOpen) {
  let socket = null;
  let closed = false;
  let pause = 300;
  const connect = () => {
    if (closed) return;
    socket = new WebSocket(
      `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/sandbox/live?as=${encodeURIComponent(person)}`,
    );
    socket.onopen = () => {
      pause = 300;
      onOpen();
    };
    socket.onmessage = (message) => {
      try {
        onEvent(JSON.parse(message.data));
      } catch (problem) {
        console.warn(problem);
      }
    };
    socket.onclose = () => {
      if (closed) return;
      setTimeout(connect, pause);
      pause = Math.min(pause * 1.7, 4000);
    };
  };
  connect();
  return () => {
    closed = true;
    if (socket) socket.close();
  };
}
