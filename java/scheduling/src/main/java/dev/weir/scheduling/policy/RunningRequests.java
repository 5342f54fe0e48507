package dev.weir.scheduling.policy;

/**
 * The requests that a scheduler has admitted, in order of admission. Room for all is allocated at
 * the start.
 */
final class RunningRequests<N extends RequestQueue.Node> {
  private final RequestQueue.Node[] nodes;
  private int size;

  /**
   * @param capacity the most requests, at least 1
   */
  RunningRequests(int capacity) {
    nodes = new RequestQueue.Node[capacity];
  }

  int size() {
    return size;
  }

  boolean isFull() {
    return size == nodes.length;
  }

  @SuppressWarnings("unchecked") // nothing else is ever stored
  N get(int index) {
    return (N) nodes[index];
  }

  /** The most recently admitted; at least one must be there. */
  N last() {
    return get(size - 1);
  }

  void add(N node) {
    nodes[size++] = node;
  }

  /** Removes and returns the most recently admitted. */
  N removeLast() {
    N node = get(--size);
    nodes[size] = null;
    return node;
  }

  /**
   * @throws IllegalStateException if it is not there
   */
  void remove(N node) {
    int index = 0;
    while (index < size && nodes[index] != node) {
      index++;
    }
    if (index == size) {
      throw new IllegalStateException("not running: " + node.request);
    }
    size--;
    System.arraycopy(nodes, index + 1, nodes, index, size - index);
    nodes[size] = null;
  }
}
