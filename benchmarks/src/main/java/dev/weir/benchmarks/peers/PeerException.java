package dev.weir.benchmarks.peers;

/** A peer did not do what was asked; the message is for the person at the terminal. */
final class PeerException extends Exception {
  private static final long serialVersionUID = 1;

  PeerException(String message) {
    super(message);
  }
}
