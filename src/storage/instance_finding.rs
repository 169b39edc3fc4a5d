//! Instances as they are looked for. A question of which some part is rare is answered from the rows of that part,
//! exactly; any other by walking an index in the order asked for, so far as one page may. Nothing here counts or
//! sorts a whole table.

use sqlx::Row as _;

use super::instance_order::InstancePlace;
use super::instance_question::{InstanceQuestion, Meaning, Part, Rows, Word};
use super::instances::{self, COLUMNS};
use super::statement::Asked;
use super::word_lists::{self, MOST_LISTS};
use super::{Storage, StorageError};
use crate::elements::Instance;

const BOUNDS: Bounds = Bounds { few: 500, looked_through: 5_000 };

/// How far one page may go.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// A part of a question that so many rows fit at most is rare.
    pub(super) few: usize,
    /// So many rows, more than a page has, are looked through where nothing is rare; then the page says so.
    pub(super) looked_through: usize,
}

/// How many there are in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// So many.
    Exactly(usize),
    /// Nobody counted on.
    MoreThan(usize),
    /// Nobody counted.
    Unknown,
}

/// Some instances, and where the next ones start.
#[derive(Debug)]
pub struct Found {
    /// In the order asked for.
    pub items: Vec<Instance>,
    /// The next page starts after it, if there may be one.
    pub next: Option<InstancePlace>,
    /// How many the question means.
    pub total: Total,
    /// So many were looked through, and there are more: the bound of one page was reached.
    pub stopped_after: Option<usize>,
}

/// One page of what a question means.
struct Page<'a> {
    meaning: &'a Meaning<'a>,
    after: Option<&'a InstancePlace>,
    limit: usize,
    bounds: Bounds,
}

impl Page<'_> {
    fn rows_of(&self, part: &Part) -> Rows {
        self.meaning.rows_of(part, self.bounds.looked_through)
    }
}

impl Storage {
    /// The instances that `question` means, in its order, at most `limit` of them, from `after` on.
    pub async fn find_instances(
        &self,
        question: &InstanceQuestion,
        after: Option<&InstancePlace>,
        limit: usize,
    ) -> Result<Found, StorageError> {
        self.find_instances_within(question, after, limit, BOUNDS).await
    }

    pub(super) async fn find_instances_within(
        &self,
        question: &InstanceQuestion,
        after: Option<&InstancePlace>,
        limit: usize,
        bounds: Bounds,
    ) -> Result<Found, StorageError> {
        let mut meaning = Meaning::of(question);
        if meaning.nothing() {
            return Ok(Found::none(Total::Exactly(0)));
        }
        if meaning.anything() {
            let total = self.counted(&Part::Everything, bounds.few).await?;
            return self.walk_all(&Page { meaning: &meaning, after, limit, bounds }, total).await;
        }
        let rarest = self.rarest(&mut meaning, bounds).await?;
        let page = Page { meaning: &meaning, after, limit, bounds };
        match rarest {
            Some((count, part)) if count <= bounds.few => self.pick(&page, &part).await,
            Some((_, part)) => self.sort(&page, &part).await,
            None if meaning.only_state() && meaning.order().is_of_ids_in_one_state() => {
                self.walk_all(&page, Total::MoreThan(bounds.few)).await
            }
            None => self.walk(&page).await,
        }
    }

    /// The part that the fewest rows fit, if they are few, or not too many to be put in order; on the way it is learnt
    /// which words have lists.
    async fn rarest(
        &self,
        meaning: &mut Meaning<'_>,
        bounds: Bounds,
    ) -> Result<Option<(usize, Part)>, StorageError> {
        let few = bounds.few;
        let most = if meaning.order().is_of_ids_in_one_state() { bounds.looked_through } else { few };
        let mut counts = self.learn(&mut meaning.words, few, most).await?;
        for (part, most) in meaning.other_parts(few, most) {
            if let Total::Exactly(count) = self.counted(&part, most).await? {
                counts.push((count, part));
            }
        }
        Ok(counts.into_iter().min_by_key(|(count, _)| *count))
    }

    /// Which words have lists, and how many rows those have that have not more than `few`, or without lists than `most`.
    async fn learn(
        &self,
        words: &mut [Word],
        few: usize,
        most: usize,
    ) -> Result<Vec<(usize, Part)>, StorageError> {
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let mut learnt = vec![(Vec::new(), 0); words.len()];
        let asked = word_lists::words_of(words.iter().map(|word| &word.part), few, most);
        for row in asked.rows(&self.readers).await? {
            let number: i64 = row.try_get(0)?;
            if let Some((listed, count)) =
                usize::try_from(number).ok().and_then(|number| learnt.get_mut(number))
            {
                listed.extend(row.try_get::<Option<String>, _>(1)?);
                *count = row.try_get(2)?;
            }
        }
        let mut counts = Vec::new();
        for (word, (listed, count)) in words.iter_mut().zip(learnt) {
            let counted = if listed.len() > MOST_LISTS { most } else { few };
            word.listed = Some(listed).filter(|listed| (1..=MOST_LISTS).contains(&listed.len()));
            let count: Option<usize> = i64::try_into(count).ok();
            counts.extend(count.filter(|count| *count <= counted).map(|count| (count, word.part.clone())));
        }
        Ok(counts)
    }

    async fn counted(&self, part: &Part, few: usize) -> Result<Total, StorageError> {
        let sql = format!("SELECT count(*) FROM ({} LIMIT {}) AS few", part.ids(), few + 1);
        let count = self.number(Asked { sql, values: part.bounds().into() }).await?;
        Ok(if count > few { Total::MoreThan(few) } else { Total::Exactly(count) })
    }

    async fn number(&self, asked: Asked) -> Result<usize, StorageError> {
        let row = asked.rows(&self.readers).await?.pop();
        let count: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    async fn read_instances(&self, asked: Asked) -> Result<Vec<Instance>, StorageError> {
        asked.rows(&self.readers).await?.iter().map(instances::read).collect()
    }

    /// Those with the ids, as `end` says.
    async fn instances_of(&self, ids: Asked, end: &str) -> Result<Vec<Instance>, StorageError> {
        let sql = format!("SELECT {COLUMNS} FROM instances WHERE id IN ({}) {end}", ids.sql);
        self.read_instances(Asked { sql, ..ids }).await
    }

    /// Out of the rows of a rare part.
    async fn pick(&self, page: &Page<'_>, part: &Part) -> Result<Found, StorageError> {
        let (order, limit) = (page.meaning.order(), page.limit);
        let mut meant = page.meaning.among(page.rows_of(part));
        let counted = format!("SELECT count(DISTINCT id) FROM ({}) AS meant", meant.sql);
        let counted = Asked { sql: counted, ..meant.clone() };
        let after = page.after.map(|after| format!("AND {}", order.is_after(after, &mut meant)));
        let end = format!("{} {} LIMIT {}", after.unwrap_or_default(), order.in_order(), limit + 1);
        let mut found = Found::none(Total::Unknown);
        found.items = self.instances_of(meant, &end).await?;
        let all = !found.cut(page) && page.after.is_none();
        found.total = Total::Exactly(if all { found.items.len() } else { self.number(counted).await? });
        Ok(found)
    }

    /// All of an index, or of one state in it: nothing is looked at in vain.
    async fn walk_all(&self, page: &Page<'_>, total: Total) -> Result<Found, StorageError> {
        let mut found = Found::none(total);
        for mut stretch in page.meaning.order().stretches(COLUMNS, page.meaning.state(), page.after) {
            stretch.end(&format!("LIMIT {}", page.limit + 1 - found.items.len()));
            found.items.extend(self.read_instances(stretch).await?);
            if found.cut(page) {
                break;
            }
        }
        Ok(found)
    }

    /// Along an index or a list, so far as one page may.
    async fn walk(&self, page: &Page<'_>) -> Result<Found, StorageError> {
        let (order, most) = (page.meaning.order(), page.bounds.looked_through);
        let more = Total::MoreThan(page.bounds.few);
        let mut found = Found::none(if page.meaning.only_state() { more } else { Total::Unknown });
        for stretch in Self::stretches(page) {
            let mut rows = stretch.clone();
            rows.asked.end(&format!("LIMIT {most}"));
            let mut ids = page.meaning.among(rows);
            ids.end(&format!("LIMIT {}", page.limit + 1 - found.items.len()));
            found.items.extend(self.instances_of(ids, &order.in_order()).await?);
            if found.cut(page) {
                return Ok(found);
            }
            if let Some(last) = self.nth(most, stretch.asked).await? {
                found.next = Some(order.place(&last));
                found.stopped_after = Some(most);
                return Ok(found);
            }
        }
        Ok(found)
    }

    /// Out of the rows of a part that are not few, but no more than one page looks through.
    async fn sort(&self, page: &Page<'_>, part: &Part) -> Result<Found, StorageError> {
        let mut ids = page.meaning.among(page.rows_of(part));
        word_lists::in_order(&mut ids, part, page.meaning.is_ranked(), page.after);
        ids.end(&format!("LIMIT {}", page.limit + 1));
        let mut found = Found::none(Total::Unknown);
        found.items = self.instances_of(ids, &page.meaning.order().in_order()).await?;
        found.cut(page);
        Ok(found)
    }

    /// Of the lists of a word, or of an index.
    fn stretches(page: &Page<'_>) -> Vec<Rows> {
        let (meaning, after) = (page.meaning, page.after);
        let (asked, known) = match meaning.lists() {
            Some((part, words)) => (word_lists::stretches(words, meaning.state(), after), Some(part)),
            None => (meaning.order().stretches("id, marks", meaning.state(), after), None),
        };
        asked.into_iter().map(|asked| Rows { asked, known: known.cloned() }).collect()
    }

    /// Where looking through a stretch stopped, if it has so many.
    async fn nth(&self, number: usize, stretch: Asked) -> Result<Option<Instance>, StorageError> {
        let sql = format!("SELECT id FROM ({} LIMIT 1 OFFSET {}) AS looked", stretch.sql, number - 1);
        Ok(self.instances_of(Asked { sql, ..stretch }, "").await?.pop())
    }
}

impl Found {
    fn none(total: Total) -> Self {
        Self { items: Vec::new(), next: None, total, stopped_after: None }
    }

    /// Leaves as many as a page has, and answers whether there are more.
    fn cut(&mut self, page: &Page<'_>) -> bool {
        let more = self.items.len() > page.limit;
        self.items.truncate(page.limit);
        self.next = self.items.last().filter(|_| more).map(|last| page.meaning.order().place(last));
        more
    }
}
