package dev.weir.scheduling.policy;

import java.util.Arrays;

/**
 * Requests that a scheduler has admitted, in the order in which it looks at them. Room for all is
 * allocated at the start.
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

  /** At least one must be there. */
  N last() {
    return get(size - 1);
  }

  void add(N node) {
    nodes[size++] = node;
  }

  /** At least one must be there. */
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

  void clear() {
    Arrays.fill(nodes, 0, size, null);
    size = 0;
  }

  void addAll(RunningRequests<N> others) {
    System.arraycopy(others.nodes, 0, nodes, size, others.size);
    size += others.size;
  }

  /** By order of arrival. Takes about linear time if they are nearly sorted already. */
  void sort() {
    for (int i = 1; i < size; i++) {
      RequestQueue.Node node = nodes[i];
      int position = i;
      while (position > 0 && nodes[position - 1].order > node.order) {
        nodes[position] = nodes[position - 1];
        position--;
      }
      nodes[position] = node;
    }
  }
}
