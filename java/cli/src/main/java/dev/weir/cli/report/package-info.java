/** Results as a table, as JSON and as a page. */
package dev.weir.cli.report;
