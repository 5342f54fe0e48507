package dev.weir.scheduling.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import dev.weir.scheduling.Request;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class RunningRequestsTest {
  private static RequestQueue.Node node(long order) {
    return new RequestQueue.Node(new Request(order, 0, 1, 1, Request.UNKNOWN), order);
  }

  private static RunningRequests<RequestQueue.Node> running(long... orders) {
    RunningRequests<RequestQueue.Node> running = new RunningRequests<>(8);
    for (long order : orders) {
      running.add(node(order));
    }
    return running;
  }

  private static List<Long> orders(RunningRequests<RequestQueue.Node> running) {
    List<Long> orders = new ArrayList<>();
    for (int i = 0; i < running.size(); i++) {
      orders.add(running.get(i).order);
    }
    return orders;
  }

  @Test
  void keepsTheOrderWhenSomeLeave() {
    RunningRequests<RequestQueue.Node> running = running(3, 1, 4, 2);
    running.remove(running.get(1));
    assertThat(running.removeLast().order).isEqualTo(2);
    assertThat(running.last().order).isEqualTo(4);
    assertThat(orders(running)).containsExactly(3L, 4L);
    assertThatIllegalStateException()
        .isThrownBy(() -> running.remove(node(3)))
        .withMessageContaining("not running");
  }

  @Test
  void sortsWhatWasPutTogether() {
    RunningRequests<RequestQueue.Node> running = running(3, 7);
    running.addAll(running(5, 1));
    assertThat(orders(running)).containsExactly(3L, 7L, 5L, 1L);
    running.sort();
    assertThat(orders(running)).containsExactly(1L, 3L, 5L, 7L);
    assertThat(running.isFull()).isFalse();
    running.addAll(running(9, 9, 9, 9));
    assertThat(running.isFull()).isTrue();
    running.clear();
    assertThat(running.size()).isZero();
  }
}
