// A screen that breaks breaks alone: the rest of the page stays, and says what happened.
import { Component, type ReactNode } from "react";
import { Failed } from "../ui/notes.tsx";

export class Crash extends Component<{ children: ReactNode }, { error: unknown }> {
  override state = { error: null as unknown };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    // Most often a part of the page that a newer hub no longer has: loading it anew mends that.
    return <Failed error={this.state.error} onRetry={() => window.location.reload()} />;
  }
}
