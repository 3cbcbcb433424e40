// The screen of orders: the list, one order, and giving a new one.
import { Route, Switch } from "wouter";
import { Compose } from "./compose.tsx";
import { OrderList } from "./list.tsx";
import { OrderPage } from "./order.tsx";

export default function Orders() {
  return (
    <Switch>
      <Route path="/orders" component={OrderList} />
      <Route path="/orders/new" component={Compose} />
      <Route path="/orders/:id">{({ id }) => <OrderPage key={id} id={id} />}</Route>
    </Switch>
  );
}
