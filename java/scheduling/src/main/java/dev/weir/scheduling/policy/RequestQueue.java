package dev.weir.scheduling.policy;

import dev.weir.scheduling.Request;

/**
 * A queue of requests in order of arrival, linked through the nodes themselves: removing a request
 * from anywhere (it is cancelled) takes constant time, and so does everything at the ends.
 */
final class RequestQueue {

  /**
   * What a scheduler keeps with a request: its {@link Request#schedulerState()}. In at most one
   * queue at a time.
   */
  static class Node {
    final Request request;

    /** Position in the order of arrival. */
    final long order;

    private RequestQueue queue;
    private Node previous;
    private Node next;

    Node(Request request, long order) {
      this.request = request;
      this.order = order;
    }

    /** The request behind it in its queue, or null. */
    Node next() {
      return next;
    }

    /** The queue it is in, or null. */
    RequestQueue queue() {
      return queue;
    }
  }

  private Node first;
  private Node last;
  private int size;

  int size() {
    return size;
  }

  /** The request that arrived first, or null if the queue is empty. */
  Node first() {
    return first;
  }

  /** Appends a request that arrived later than all others. */
  void append(Node node) {
    insertAfter(last, node);
  }

  /** Puts a request before all others, whenever it arrived. */
  void prepend(Node node) {
    insertAfter(null, node);
  }

  /**
   * Puts a request that comes back to its place in the order of arrival. Takes time in proportion
   * to the requests that arrived earlier; they have all been admitted before, so their number is
   * bounded by that of concurrent requests.
   */
  void insert(Node node) {
    Node position = null;
    for (Node other = first; other != null && other.order < node.order; other = other.next) {
      position = other;
    }
    insertAfter(position, node);
  }

  void remove(Node node) {
    if (node.queue != this) {
      throw new IllegalStateException("not in this queue: " + node.request);
    }
    if (node.previous == null) {
      first = node.next;
    } else {
      node.previous.next = node.next;
    }
    if (node.next == null) {
      last = node.previous;
    } else {
      node.next.previous = node.previous;
    }
    node.queue = null;
    node.previous = null;
    node.next = null;
    size--;
  }

  private void insertAfter(Node position, Node node) {
    if (node.queue != null) {
      throw new IllegalStateException("queued already: " + node.request);
    }
    node.queue = this;
    node.previous = position;
    node.next = position == null ? first : position.next;
    if (node.next == null) {
      last = node;
    } else {
      node.next.previous = node;
    }
    if (position == null) {
      first = node;
    } else {
      position.next = node;
    }
    size++;
  }
}
